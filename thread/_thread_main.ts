// Copyright 2026 the multitask authors. MIT license.
// The main module of a thread.

import { begin } from "./_thread_runtime.ts";

begin();
