// Copyright 2026 the multitask authors. MIT license.

/** How many tests ended in which way. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Counts the tests of a report written by `deno test --junit-path`, as the
 * terminal summary of `deno test` does: steps belong to their test, and tests
 * that a filter left out are not counted.
 *
 * @param report The text of the report.
 * @returns The counts.
 */
export function countTests(report: string): TestCounts {
  const cases = [...report.matchAll(
    /<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )].map(([, attributes = "", body = ""]) => ({
    // Both stay XML-escaped: they are only compared with each other.
    file: attribute(attributes, "classname") ?? "",
    name: attribute(attributes, "name") ?? "",
    // Deno writes no time for a test that a filter left out.
    ran: attribute(attributes, "time") !== undefined,
    body,
  }));
  const ids = new Set(cases.map(({ file, name }) => `${file}\n${name}`));

  const counts: TestCounts = { passed: 0, failed: 0, skipped: 0 };
  for (const { file, name, ran, body } of cases) {
    if (!ran || isStep(file, name, ids)) continue;
    if (/<(failure|error)\b/.test(body)) counts.failed++;
    else if (/<skipped\b/.test(body)) counts.skipped++;
    else counts.passed++;
  }
  return counts;
}

function attribute(attributes: string, name: string): string | undefined {
  return attributes.match(new RegExp(`(?:^|\\s)${name}="([^"]*)"`))?.[1];
}

/** A step is named `<test> > <step>`, and its test is in the same file. */
function isStep(file: string, name: string, ids: Set<string>): boolean {
  const separator = " &gt; ";
  for (
    let end = name.indexOf(separator);
    end >= 0;
    end = name.indexOf(separator, end + 1)
  ) {
    if (ids.has(`${file}\n${name.slice(0, end)}`)) return true;
  }
  return false;
}
