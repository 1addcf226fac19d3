// Copyright 2026 the multitask authors. MIT license.
// Loads what a child otherwise loads when it needs it: first of all in a child
// that may not read these modules, so that they are there.

import "../ipc/_handles.ts";
import "./_node_stream.ts";
import "../ipc/_subclass.ts";
import "./process.ts";
