// Copyright 2026 the multitask authors. MIT license.

export interface DelayOptions {
  signal?: AbortSignal;
  persistent?: boolean;
}

export function delay(ms: number, options?: DelayOptions): Promise<void>;
