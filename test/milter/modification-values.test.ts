/** What becomes of header values for MTAs that put the space behind the colon themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Modification } from '../../src/milter/reply.ts';
import { Session } from '../../src/milter/session.ts';
import { EVERYTHING } from '../helpers/interests.ts';

const HDR_LEADSPC = 0x100000;

/** The modifications that go out for those of the policy. */
function sent(modifications: readonly Modification[], protocol: number): unknown[] {
  const session = new Session(EVERYTHING);
  session.receive({ kind: 'negotiate', version: 6, actions: 0x1ff, protocol });
  session.receive({ kind: 'mail', address: '<a@b.example>', params: [] });
  session.answer({ kind: 'continue' });
  session.receive({ kind: 'endOfHeaders' });
  session.answer({ kind: 'continue' });
  session.receive({ kind: 'endOfMessage', bytes: Buffer.alloc(0) });
  return session
    .answer({ kind: 'continue', modifications })
    .flatMap((step) => (step.kind === 'modify' ? [step.modification] : []));
}

const add = (value: string): Modification => ({ kind: 'addHeader', name: 'X', value });

for (const [value, stripped] of [
  [' v', 'v'],
  ['  v', ' v'],
  ['v', 'v'],
  ['\tv', '\tv'],
  [' \n v', '\n v'],
  [' ', ' '],
  ['  ', ' '],
  [' \xe9', '\xe9'],
] as const) {
  test(`the value ${JSON.stringify(value)}`, () => {
    assert.deepEqual(sent([add(value)], HDR_LEADSPC), [add(value)]);
    assert.deepEqual(sent([add(value)], 0x40000000), [add(stripped)]);
  });
}

test('changes and insertions lose the space too, deletions and reasons nothing', () => {
  const change = (value: string): Modification => ({ kind: 'changeHeader', index: 2, name: 'X', value });
  const insert = (value: string): Modification => ({ kind: 'insertHeader', index: 0, name: 'X', value });
  const quarantine: Modification = { kind: 'quarantine', reason: ' why' };
  assert.deepEqual(sent([change(' v'), change(''), insert(' v'), quarantine], 0x40000000), [
    change('v'),
    change(''),
    insert('v'),
    quarantine,
  ]);
});
