// Copyright 2026 the multitask authors. MIT license.
// Loads every class whose objects cross as references, so that they can be
// decoded by whoever gets one.

import "./connection.ts";
import "./event.ts";
import "./lock.ts";
import "./queue.ts";
import "./joinable_queue.ts";
import "./simple_queue.ts";
import "./lifo_queue.ts";
import "./priority_queue.ts";
import "./barrier.ts";
import "./bounded_semaphore.ts";
import "./condition.ts";
import "./rlock.ts";
import "./semaphore.ts";
import "./shareable_list.ts";
import "./shared_array.ts";
import "./shared_memory.ts";
import "./value.ts";
