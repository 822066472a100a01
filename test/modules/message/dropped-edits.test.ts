/** Edits stand or fall with the callback that asks for them. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { Edits } from '../../../src/message/edits.ts';
import { deleteRecipient } from '../../helpers/delete-recipient.ts';
import { startServer } from '../../helpers/milter-server.ts';
import { Mta, type Reply } from '../../helpers/mta.ts';

const HEADERS = [
  ['Authentication-Results', ' mx.example; spf=pass'],
  ['Subject', ' one'],
  ['Authentication-Results', ' mx.example; dkim=pass'],
] as const;

const shown = ({ modifications }: Reply): string[] =>
  modifications.map(({ letter, payload }) => {
    const index = 'im'.includes(letter) ? `${payload.readUInt32BE(0)} ` : '';
    const text = payload.subarray('im'.includes(letter) ? 4 : 0).toString('latin1');
    return `${letter} ${index}${text.replaceAll('\0', '|')}`;
  });

/** What the MTA is told at the end of a message with two recipients, and what is logged. */
async function send(t: TestContext, source: string, options = {}) {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('mx.example.net');
  await mta.mail('<a@b.example>');
  for (const recipient of ['<c@d.example>', '<e@d.example>']) await mta.rcpt(recipient);
  await mta.data();
  const reply = await mta.content(HEADERS, 'body\r\n');
  await mta.quit();
  return { letter: reply.letter, sent: shown(reply), lines: server.log.lines };
}

const EVERY_EDIT = `
  header.add("X-Added", "x") header.insert("X-Top: x", 1) header.set("Subject", "x") header.modify("Subject", 1, "y")
  header.delete("Subject") header.delete("Authentication-Results", 1)
  smtp.add_rcpt("x@y.example") smtp.del_rcpt("c@d.example") smtp.set_sender("x@y.example")
  smtp.quarantine("why") body.replace("x\\r\\n")`;
const DELETED = ['m 2 Authentication-Results||', 'm 1 Authentication-Results||'];

describe('--on-error continue', () => {
  for (const callback of ['mail', 'rcpt', 'data', 'headers', 'chunk', 'dot']) {
    test(`nothing is left of what do_${callback} asked for before it failed`, async (t) => {
      const { letter, sent, lines } = await send(
        t,
        `function smtp.do_${callback}() ${EVERY_EDIT} error("oops") end`,
      );
      assert.deepEqual([letter, sent], ['c', []]);
      const line = lines.find((text) => text.includes('oops (')) ?? '';
      // One of them is a deletion of a header that is not there any more.
      assert.match(line, /; --on-error continue; the changes it asked for \(1[01]\) are dropped$/);
    });
  }

  test('what another callback asked for, before or after, is carried out', async (t) => {
    const { letter, sent } = await send(
      t,
      `function smtp.do_mail() header.delete("Authentication-Results") end
       function smtp.do_rcpt(rcpt)
         smtp.add_rcpt("copy-" .. rcpt)
         if rcpt:find("^c@") then error("oops") end
       end
       function smtp.do_headers() header.add("X-Seen", header.get("Authentication-Results") or "none") end
       function smtp.do_chunk() ${EVERY_EDIT} error("oops") end
       function smtp.do_dot() header.add("X-Subject", header.get("Subject")) end`,
    );
    assert.deepEqual(
      [letter, sent],
      ['c', [...DELETED, 'h X-Seen| none|', 'h X-Subject| one|', '+ <copy-e@d.example>|']],
    );
  });

  test('deleting forged headers in do_headers outlives a do_dot that fails, in every way', async (t) => {
    for (const failure of ['error("oops")', 'return 999', 'while true do end', 'smtp.delay(60)']) {
      const { sent } = await send(
        t,
        `function smtp.do_headers() header.delete("Authentication-Results") end
         function smtp.do_dot(path) header.add("X-Dot", "x") ${failure} end`,
        { 'cpu-ms': '200', 'eom-deadline': '0.4' },
      );
      assert.deepEqual(sent, DELETED, failure);
    }
  });

  test('an error that the script catches is no failure', async (t) => {
    const { sent } = await send(
      t,
      'function smtp.do_dot() pcall(function() header.add("X", "y") error("oops") end) end',
    );
    assert.deepEqual(sent, ['h X| y|']);
  });
});

test('--on-error accept carries out what earlier callbacks asked for', async (t) => {
  const { letter, sent } = await send(
    t,
    `function smtp.do_headers() header.delete("Authentication-Results") end
     function smtp.do_dot() smtp.quarantine("why") error("oops") end`,
    { 'on-error': 'accept' },
  );
  assert.deepEqual([letter, sent], ['a', DELETED]);
});

for (const [onError, letter] of [
  ['tempfail', 't'],
  ['reject', 'r'],
] as const) {
  test(`--on-error ${onError}: nothing is changed`, async (t) => {
    const { sent, ...reply } = await send(
      t,
      `function smtp.do_headers() header.delete("Authentication-Results") end
       function smtp.do_dot() error("oops") end`,
      { 'on-error': onError },
    );
    assert.deepEqual([reply.letter, sent], [letter, []]);
  });
}

const LINES = ['X: 1', 'Y: 2', 'X: 3\r\n\tfolded', 'x: 4'];
const arbitraryName = fc.constantFrom('X', 'Y', 'Z');
const arbitraryEdit = fc.oneof(
  fc.record({ kind: fc.constantFrom('add' as const, 'set' as const), name: arbitraryName }),
  fc.record({
    kind: fc.constantFrom('insert' as const, 'modify' as const, 'delete' as const),
    name: arbitraryName,
    n: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constantFrom('add_rcpt' as const, 'del_rcpt' as const), name: arbitraryName }),
);
type RandomEdit = typeof arbitraryEdit extends fc.Arbitrary<infer Of> ? Of : never;

let count = 0;
function make(edits: Edits, edit: RandomEdit): void {
  count += 1;
  const field = { name: edit.name, value: ` ${count}` };
  const address = `<${edit.name}@y.example>`;
  edits.make(() => {
    switch (edit.kind) {
      case 'add':
      case 'set':
        return edits.headers[edit.kind](field);
      case 'insert':
      case 'modify':
        return edits.headers[edit.kind](field, edit.n);
      case 'delete':
        return edits.headers.delete(edit.name, edit.n === 4 ? undefined : edit.n);
      case 'add_rcpt':
        return edits.addRecipient(address);
      case 'del_rcpt':
        return deleteRecipient(edits, address);
    }
  });
}

test('any edits are as if they had never been made', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(arbitraryEdit, { maxLength: 6 }), { maxLength: 4 }),
      fc.array(arbitraryEdit, { minLength: 1, maxLength: 8 }),
      fc.array(arbitraryEdit, { maxLength: 6 }),
      fc.boolean(),
      (before, dropped, after, arrivesFirst) => {
        const begin = count;
        const outcome = (withDropped: boolean) => {
          count = begin;
          const edits = new Edits();
          for (const name of ['X', 'Y']) {
            edits.recipientNamed({ address: `${name}@y.example`, written: `<${name}@y.example>` });
          }
          if (arrivesFirst) edits.headers.arrive(LINES);
          for (const callback of before) {
            edits.beginCallback();
            for (const edit of callback) make(edits, edit);
          }
          if (withDropped) {
            const next = count;
            edits.beginCallback();
            for (const edit of dropped) make(edits, edit);
            edits.dropCallback();
            count = next;
          }
          if (!arrivesFirst) edits.headers.arrive(LINES);
          edits.beginCallback();
          for (const edit of after) make(edits, edit);
          return { empty: edits.isEmpty, sent: edits.compile(), lines: edits.headers.lines() };
        };
        assert.deepEqual(outcome(true), outcome(false));
      },
    ),
    { numRuns: 500 },
  );
});
