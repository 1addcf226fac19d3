// Copyright 2026 the multitask authors. MIT license.
// Loads what a thread otherwise loads when it needs it: first of all in a thread
// that may not read these modules, so that they are there.

import "../ipc/_handles.ts";
import "../ipc/_subclass.ts";
import "./thread.ts";
