// Copyright 2026 the multitask authors. MIT license.
// The main module of a child that runs a task.

import { orders } from "./_child_boot.ts";
import { runTask } from "./_child_runtime.ts";

if (orders !== undefined) await runTask(orders);
