/** Test files and policies in a directory of their own, run in this process. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { resolveOptions } from '../../src/options/options.ts';
import { type FileReport, type RunSettings, runTestFile } from '../../src/policy-test/test-file.ts';
import { directory } from '../program/program.ts';

/** Writes files by name; returns the directory. */
export function place(t: TestContext, files: Readonly<Record<string, string>>): string {
  const path = directory(t);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

/** Runs `p_test.lua`, which tests `p.lua`. */
export async function run(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  settings: Partial<RunSettings> = {},
): Promise<FileReport> {
  const options = resolveOptions(new Map(), {});
  return runTestFile(join(place(t, files), 'p_test.lua'), { options, coverage: false, ...settings });
}

/** Runs one case in which `body` stands; it has to pass. */
export async function passes(t: TestContext, policy: string, body: string): Promise<void> {
  const report = await run(t, { 'p.lua': policy, 'p_test.lua': `test.case("it", function()\n${body}\nend)` });
  assert.equal(report.broken, undefined);
  assert.equal(report.cases.length, 1);
  assert.equal(report.cases[0]?.failure, undefined, report.cases[0]?.failure?.message);
}

/** Runs one case in which `body` stands; the message of its failure. */
export async function failureOf(t: TestContext, policy: string, body: string): Promise<string> {
  const report = await run(t, { 'p.lua': policy, 'p_test.lua': `test.case("it", function()\n${body}\nend)` });
  const failure = report.cases[0]?.failure;
  assert.ok(failure, 'the case has passed');
  return failure.message.replaceAll(dirname(report.file), 'DIR');
}
