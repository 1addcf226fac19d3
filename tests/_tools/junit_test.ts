// Copyright 2026 the multitask authors. MIT license.

import { assertEquals } from "@std/assert";
import { countTests } from "../../_tools/_junit.ts";

Deno.test("countTests() counts tests, not steps nor filtered tests", () => {
  const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="9" failures="2" errors="1" time="0.1">
    <testsuite name="./a_test.ts" tests="8">
        <testcase name="ok &lt;testcase&gt;" classname="./a_test.ts" time="0.1">
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.1">
            <failure message="Error">&lt;skipped/&gt;</failure>
        </testcase>
        <testcase name="cancelled" classname="./a_test.ts" time="0.0">
            <error message="Cancelled"/>
        </testcase>
        <testcase name="ignored" classname="./a_test.ts" time="0.0">
            <skipped/>
        </testcase>
        <testcase name="filtered" classname="./a_test.ts">
            <skipped/>
        </testcase>
        <testcase name="bad &gt; step" classname="./a_test.ts" time="0.1">
            <failure message="Error">Error</failure>
        </testcase>
        <testcase name="bad &gt; step &gt; inner" classname="./a_test.ts" time="0.1">
        </testcase>
        <testcase name="x &gt; y" classname="./a_test.ts" time="0.1" line="1"/>
    </testsuite>
</testsuites>`;

  assertEquals(countTests(report), { passed: 2, failed: 2, skipped: 1 });
});

Deno.test("countTests() finds nothing in an empty report", () => {
  assertEquals(countTests(""), { passed: 0, failed: 0, skipped: 0 });
});
