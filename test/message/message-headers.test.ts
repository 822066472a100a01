/**
 * The model of a message's headers, against simulations of both MTAs written down from what they do:
 *
 *   Postfix (src/cleanup/cleanup_milter.c): its Received is on top and counts for insertions. A deleted header is gone
 *   at once. An addition goes to the end. A change writes the name as given.
 *   Sendmail (sendmail/milter.c): a deleted header is still counted. An addition goes before the first header of the
 *   same name, else to the end. Insertions are dependable at 0 and 1. A change keeps the name as it was.
 *   Both: changes and deletions count headers of the name from 1, without the Received of the MTA; an empty value
 *   deletes; changing what does not exist adds it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageHeaders } from '../../src/message/message-headers.ts';
import { asSendmailSends } from '../../src/message/sendmail-fields.ts';
import type { Modification } from '../../src/milter/reply.ts';
import { applyModifications } from '../../src/workbench/delivery.ts';

interface Line {
  name: string;
  value: string;
  own?: boolean;
  deleted?: boolean;
}

function parse(lines: readonly string[]): Line[] {
  return lines.map((line) => {
    const [, name = '', value = ''] = /^([^:]*):(.*)$/s.exec(line) ?? [];
    return { name, value: value.replaceAll('\r\n', '\n') };
  });
}

const show = (lines: readonly Line[]) =>
  lines.filter((l) => !l.own && !l.deleted).map((l) => `${l.name}:${l.value.replaceAll('\n', '\r\n')}`);
const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

function postfix(originals: readonly string[], modifications: readonly Modification[]): string[] {
  const list: Line[] = [{ name: 'Received', value: ' own', own: true }, ...parse(originals)];
  for (const change of modifications) {
    switch (change.kind) {
      case 'addHeader':
        list.push({ name: change.name, value: change.value });
        break;
      case 'insertHeader':
        list.splice(Math.min(change.index, list.length), 0, { name: change.name, value: change.value });
        break;
      case 'changeHeader': {
        const found = list.filter((l) => !l.own && same(l.name, change.name))[Math.max(change.index, 1) - 1];
        if (!found) {
          if (change.value !== '') list.push({ name: change.name, value: change.value });
        } else if (change.value === '') list.splice(list.indexOf(found), 1);
        else Object.assign(found, { name: change.name, value: change.value });
        break;
      }
      default:
        throw new Error(`no header: ${change.kind}`);
    }
  }
  return show(list);
}

function sendmail(originals: readonly string[], modifications: readonly Modification[]): string[] {
  const list: Line[] = [{ name: 'Received', value: ' own', own: true }, ...parse(originals)];
  const add = (name: string, value: string) => {
    const before = list.findIndex((l) => !l.own && same(l.name, name));
    list.splice(before < 0 ? list.length : before, 0, { name, value });
  };
  for (const change of modifications) {
    switch (change.kind) {
      case 'addHeader':
        add(change.name, change.value);
        break;
      case 'insertHeader':
        list.splice(Math.min(change.index, list.length), 0, { name: change.name, value: change.value });
        break;
      case 'changeHeader': {
        const found = list.filter((l) => !l.own && same(l.name, change.name))[Math.max(change.index, 1) - 1];
        if (!found) {
          if (change.value !== '') add(change.name, change.value);
        } else if (change.value === '') found.deleted = true;
        else Object.assign(found, { value: change.value, deleted: false });
        break;
      }
      default:
        throw new Error(`no header: ${change.kind}`);
    }
  }
  return show(list);
}

const MESSAGE = [
  'Received: from a',
  'Subject: one',
  'X-A: 1',
  'x-a:2',
  'To:\r\n\ta@b.example,\r\n\tc@d.example',
  'X-A: 3',
];

function edited(make: (headers: MessageHeaders) => void, originals: readonly string[] = MESSAGE) {
  const headers = new MessageHeaders();
  headers.arrive(originals);
  make(headers);
  return headers;
}

const change = (index: number, name: string, value: string): Modification => ({
  kind: 'changeHeader',
  index,
  name,
  value,
});

test('without edits nothing is sent', () => {
  const headers = edited(() => {});
  assert.deepEqual(headers.compile(), []);
  assert.deepEqual(headers.lines(), MESSAGE);
  assert.equal(headers.edited, false);
});

test('additions and insertions go out as they were made', () => {
  const headers = edited((h) => {
    h.add({ name: 'X-B', value: ' b' });
    h.insert({ name: 'X-C', value: 'c' }, 1);
    h.insert({ name: 'X-D', value: ' d\n e' }, 0);
  });
  assert.deepEqual(headers.compile(), [
    { kind: 'insertHeader', index: 1, name: 'X-C', value: 'c' },
    { kind: 'insertHeader', index: 0, name: 'X-D', value: ' d\n e' },
    { kind: 'addHeader', name: 'X-B', value: ' b' },
  ]);
  assert.deepEqual(headers.lines(), ['X-D: d\r\n e', 'X-C:c', ...MESSAGE, 'X-B: b']);
});

test('changes name the header as the message spells it', () => {
  const headers = edited((h) => {
    h.modify({ name: 'X-A', value: ' two' }, 2);
    h.modify({ name: 'SUBJECT', value: ' new' }, 1);
  });
  assert.deepEqual(headers.compile(), [change(1, 'Subject', ' new'), change(2, 'x-a', ' two')]);
});

test('several of a name are deleted from the last, after changes', () => {
  const headers = edited((h) => {
    h.delete('x-A', 1);
    h.modify({ name: 'X-A', value: ' last' }, 2); // The third of the message.
    h.delete('X-A', 1);
  });
  assert.deepEqual(headers.compile(), [
    change(3, 'X-A', ' last'),
    change(2, 'x-a', ''),
    change(1, 'X-A', ''),
  ]);
});

test('all of a name are deleted without a number', () => {
  assert.deepEqual(edited((h) => h.delete('X-A')).compile(), [
    change(3, 'X-A', ''),
    change(2, 'x-a', ''),
    change(1, 'X-A', ''),
  ]);
});

test('a header set keeps its place and loses its doubles', () => {
  const headers = edited((h) => h.set({ name: 'X-A', value: ' only' }));
  assert.deepEqual(headers.compile(), [
    change(1, 'X-A', ' only'),
    change(3, 'X-A', ''),
    change(2, 'x-a', ''),
  ]);
  assert.deepEqual(edited((h) => h.set({ name: 'X-New', value: ' v' })).compile(), [
    { kind: 'addHeader', name: 'X-New', value: ' v' },
  ]);
});

test('edits to headers of the script itself change or cancel these', () => {
  const headers = edited((h) => {
    h.add({ name: 'X-B', value: ' 1' });
    h.insert({ name: 'X-B', value: ' 2' }, 0);
    h.modify({ name: 'x-b', value: ' two' }, 1);
    h.delete('x-b', 2);
  });
  assert.deepEqual(headers.compile(), [{ kind: 'insertHeader', index: 0, name: 'X-B', value: ' two' }]);
  headers.delete('X-B');
  assert.deepEqual(headers.compile(), []);
});

test('a value changed back is no change', () => {
  const headers = edited((h) => {
    h.modify({ name: 'Subject', value: ' x' }, 1);
    h.modify({ name: 'Subject', value: ' one' }, 1);
  });
  assert.deepEqual(headers.compile(), []);
});

test('changing what is not there adds it, deleting it does nothing', () => {
  const headers = edited((h) => {
    h.modify({ name: 'X-B', value: ' b' }, 7);
    h.delete('X-C');
    h.delete('X-A', 9);
  });
  assert.deepEqual(headers.compile(), [{ kind: 'addHeader', name: 'X-B', value: ' b' }]);
});

test('edits made before the headers are known are made again on them', () => {
  const headers = new MessageHeaders();
  headers.set({ name: 'Subject', value: ' early' });
  headers.delete('X-A', 2);
  headers.add({ name: 'X-A', value: ' 4' });
  assert.deepEqual(headers.lines(), ['Subject: early', 'X-A: 4']);
  assert.equal(headers.edited, true);
  headers.arrive(MESSAGE);
  assert.deepEqual(headers.compile(), [
    change(1, 'Subject', ' early'),
    change(2, 'x-a', ''),
    { kind: 'addHeader', name: 'X-A', value: ' 4' },
  ]);
});

test('headers are found with the edits applied', () => {
  const headers = edited((h) => {
    h.insert({ name: 'X-Top', value: ' t' }, 0);
    h.delete('X-A', 1);
  });
  assert.deepEqual(headers.find('x-a', 1), { position: 4, line: 'x-a:2', value: '2' });
  assert.deepEqual(headers.find('To', 1), {
    position: 5,
    line: 'To:\r\n\ta@b.example,\r\n\tc@d.example',
    value: '\n\ta@b.example,\n\tc@d.example',
  });
  assert.equal(headers.find('X-A', 3), undefined);
  assert.deepEqual(headers.values('X-A'), ['2', ' 3']);
});

const names = fc.constantFrom('X-A', 'x-a', 'X-B', 'Subject', 'subject');
const values = fc.constantFrom(' 1', ' 2', 'bare', ' fold\n\tmore', ' ', ' \xe9');
const fields = fc.record({ name: names, value: values });
const lines = fc.array(
  fields.map(({ name, value }) => `${name}:${value.replaceAll('\n', '\r\n')}`),
  { maxLength: 8 },
);
type EditCall = (headers: MessageHeaders) => void;
const editCalls = (maxIndex: number): fc.Arbitrary<EditCall> =>
  fc.oneof(
    fields.map(
      (field): EditCall =>
        (h) =>
          h.add(field),
    ),
    fc.tuple(fields, fc.nat(maxIndex)).map(
      ([field, index]): EditCall =>
        (h) =>
          h.insert(field, index),
    ),
    fc.tuple(fields, fc.integer({ min: 1, max: 4 })).map(
      ([field, n]): EditCall =>
        (h) =>
          h.modify(field, n),
    ),
    fc.tuple(names, fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined })).map(
      ([name, n]): EditCall =>
        (h) =>
          h.delete(name, n),
    ),
    fields.map(
      (field): EditCall =>
        (h) =>
          h.set(field),
    ),
  );

test('Postfix ends with what the script was shown, in the same order', () => {
  fc.assert(
    fc.property(lines, fc.array(editCalls(12)), fc.nat(10), (originals, calls, early) => {
      const headers = new MessageHeaders();
      for (const call of calls.slice(0, early)) call(headers);
      headers.arrive(originals);
      for (const call of calls.slice(early)) call(headers);
      assert.deepEqual(postfix(originals, headers.compile()), headers.lines());
    }),
  );
});

test('Sendmail ends with the same headers, each name spelled as in the message', () => {
  fc.assert(
    fc.property(lines, fc.array(editCalls(1)), fc.nat(10), (originals, calls, early) => {
      const headers = new MessageHeaders();
      for (const call of calls.slice(0, early)) call(headers);
      headers.arrive(originals);
      for (const call of calls.slice(early)) call(headers);
      const modifications = headers.compile();
      assert.deepEqual(sendmail(originals, modifications).sort(), headers.lines().sort());
      // Without additions the order is the same too.
      if (modifications.every(({ kind }) => kind !== 'addHeader')) {
        assert.deepEqual(sendmail(originals, modifications), headers.lines());
      }
    }),
  );
});

test('edits before and after the headers are known come to the same', () => {
  fc.assert(
    fc.property(lines, fc.array(editCalls(12)), (originals, calls) => {
      const before = new MessageHeaders();
      for (const call of calls) call(before);
      before.arrive(originals);
      const after = new MessageHeaders();
      after.arrive(originals);
      for (const call of calls) call(after);
      assert.deepEqual(before.compile(), after.compile());
      assert.deepEqual(before.lines(), after.lines());
    }),
  );
});

test('a value never goes out empty but to delete, and changes count as the MTA counts', () => {
  fc.assert(
    fc.property(lines, fc.array(editCalls(12)), (originals, calls) => {
      const headers = edited((h) => {
        for (const call of calls) call(h);
      }, originals);
      const counts = new Map<string, number>();
      for (const { name } of parse(originals)) {
        counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
      }
      for (const m of headers.compile()) {
        if (m.kind === 'changeHeader') assert.ok(m.index <= (counts.get(m.name.toLowerCase()) ?? 0));
        else if (m.kind === 'addHeader' || m.kind === 'insertHeader') assert.notEqual(m.value, '');
      }
    }),
  );
});

test('what is sent has the order of the MTA', () => {
  const shown = (fields: readonly { name: string; value: string }[]) => show([...fields]);
  fc.assert(
    fc.property(lines, fc.array(editCalls(1)), (originals, calls) => {
      const headers = edited((h) => {
        for (const call of calls) call(h);
      }, originals);
      const modifications = headers.compile();
      assert.deepEqual(shown(headers.asSent('postfix')), postfix(originals, modifications));
      assert.deepEqual(shown(headers.asSent('sendmail')), sendmail(originals, modifications));
      assert.deepEqual(shown(headers.arrived()), originals);
    }),
  );
});

test('what is sent has the order of the MTA wherever headers are inserted', () => {
  fc.assert(
    fc.property(lines, fc.array(editCalls(12)), (originals, calls) => {
      const headers = edited((h) => {
        for (const call of [...calls, (h) => h.add({ name: 'Date', value: ' now' })] as EditCall[]) call(h);
      }, originals);
      const message = { headers: parse(originals), body: Buffer.alloc(0) };
      const envelope = { sender: '', senderParams: [], recipients: [] };
      for (const mta of ['postfix', 'sendmail'] as const) {
        const { headers: sent } = applyModifications(mta, envelope, message, headers.compile()).message;
        assert.deepEqual(
          headers.asSent(mta),
          sent.map(({ name, value }) => ({ name, value })),
        );
      }
    }),
  );
});

test('Sendmail puts in what has not come and is not added, and sends Resent fields of a resent message alone', () => {
  const later = (lines: readonly string[], edit: EditCall = () => {}) => [
    ...edited(edit, lines).putInBy('sendmail'),
  ];
  assert.deepEqual(later(['From: a@b.example', 'Subject: x']), ['date', 'full-name', 'message-id']);
  assert.deepEqual(
    later(['From: a@b.example'], (h) => {
      h.insert({ name: 'Date', value: ' x' }, 1);
      h.add({ name: 'Message-ID', value: ' <x>' });
    }),
    ['date', 'full-name'],
  );
  assert.deepEqual(
    later(['FROM: a@b.example', 'date: x', 'Message-Id: x'], (h) => h.delete('Date')),
    ['full-name'],
  );
  assert.deepEqual(later(['Resent-To: a@b.example', 'From: x', 'Date: x', 'Message-Id: x']), [
    'resent-date',
    'resent-from',
    'full-name',
    'resent-message-id',
  ]);
  assert.deepEqual([...edited(() => {}, ['Subject: x']).putInBy('postfix')], []);
  const resent = [{ name: 'Resent-To', value: ' a@b.example' }];
  assert.deepEqual(asSendmailSends(resent, false), []);
  assert.deepEqual(asSendmailSends(resent, true), resent);
});
