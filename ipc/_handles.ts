// Copyright 2026 the multitask authors. MIT license.
// Loads every class whose objects cross as references, so that they can be
// decoded by whoever gets one.

import "./connection.ts";
import "./event.ts";
import "./lock.ts";
import "./queue.ts";
