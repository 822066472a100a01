/** Rows of measurements are added to the table of docs/speed.md, and nothing else changes. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directory } from '../program/program.ts';
import { appendRows, commitOf } from './record.ts';

const SPEED = new URL('../../docs/speed.md', import.meta.url);

test('rows are added below those that are there', (t) => {
  const file = join(directory(t), 'speed.md');
  copyFileSync(SPEED, file);
  const before = readFileSync(file, 'utf8');
  const small = {
    profile: 'small',
    perSecond: 4308.4,
    cpuUs: 156.2,
    ratio: { perSecond: 1.234, cpu: 0.701 },
  } as const;
  appendRows(file, [small], new Date('2026-11-28T20:00:00Z'), '1a2b3c4');
  appendRows(
    file,
    [{ profile: 'bulk', perSecond: 900, cpuUs: 536 }],
    new Date('2026-12-01T00:00:00Z'),
    '5d6e7f8+',
  );
  assert.equal(
    readFileSync(file, 'utf8'),
    `${before}| 2026-11-28 | 1a2b3c4 | ${process.version} | small | 4308 | 1.23 | 156 | 0.70 |\n` +
      `| 2026-12-01 | 5d6e7f8+ | ${process.version} | bulk | 900 |  | 536 |  |\n`,
  );
});

test('a file that does not end with the table stays as it is', (t) => {
  const file = join(directory(t), 'speed.md');
  const text = `${readFileSync(SPEED, 'utf8')}\nmore\n`;
  writeFileSync(file, text);
  assert.throws(
    () => appendRows(file, [{ profile: 'small', perSecond: 1, cpuUs: 1 }], new Date(), 'x'),
    /does not end/,
  );
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('a commit is named by its short hash', () => {
  assert.match(commitOf(new URL('../..', import.meta.url)), /^[0-9a-f]{7,}\+?$/);
});
