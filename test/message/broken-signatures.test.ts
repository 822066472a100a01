import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokenSignatures, type PassingSignature } from '../../src/message/broken-signatures.ts';
import { Edits } from '../../src/message/edits.ts';

const MESSAGE = [
  'Received: one',
  'Subject: A day',
  'From: jane@example.com',
  'Received: two',
  'To: b@example.net',
];

function notes(
  covers: readonly string[],
  make: (edits: Edits) => void,
  form: PassingSignature['form'] = 'relaxed',
): readonly string[] {
  const edits = new Edits();
  edits.headers.arrive(MESSAGE);
  edits.verified([{ domain: 'example.com', covers, form }]);
  make(edits);
  edits.finish('postfix');
  return edits.notes.breaks;
}

test('a field that a signature covers is changed, deleted or added', () => {
  const covers = ['from', 'subject', 'subject', 'cc', 'received'];
  const breaks = (name: string) => [`breaks d=example.com: h= covers ${name}`];
  const set = (name: string, value: string) => notes(covers, ({ headers }) => headers.set({ name, value }));
  assert.deepEqual(set('subject', ' [X] A day'), breaks('Subject'));
  assert.deepEqual(set('Subject', '  A\n\tday '), []);
  assert.deepEqual(set('To', ' c@example.net'), []);
  assert.deepEqual(set('Cc', ' c@example.net'), breaks('Cc'));
  assert.deepEqual(
    notes(covers, ({ headers }) => headers.delete('From')),
    breaks('From'),
  );
  // Listed once more than it is there: another one breaks it. Listed once: only the last counts.
  const add = (name: string) => notes(covers, ({ headers }) => headers.insert({ name, value: ' x' }, 1));
  assert.deepEqual(add('Subject'), breaks('Subject'));
  assert.deepEqual(add('Received'), []);
  assert.deepEqual(add('From'), []);
  assert.deepEqual(
    notes(covers, ({ headers }) => headers.add({ name: 'From', value: ' x' })),
    breaks('From'),
  );
  assert.deepEqual(
    notes(covers, ({ headers }) => headers.delete('Received', 2)),
    breaks('Received'),
  );
});

test('white space counts where a signature has the simple form', () => {
  const set = (value: string, form: PassingSignature['form']) =>
    notes(['from', 'subject'], ({ headers }) => headers.set({ name: 'Subject', value }), form);
  assert.deepEqual(set(' A day', 'simple'), []);
  for (const value of ['A day', '  A day', ' A\n day', ' A day ']) {
    assert.deepEqual(set(value, 'simple'), ['breaks d=example.com: h= covers Subject'], value);
    assert.deepEqual(set(value, 'relaxed'), [], value);
  }
  // The last byte of many a letter in UTF-8: no blank.
  assert.deepEqual(set(' A day\xa0', 'relaxed'), ['breaks d=example.com: h= covers Subject']);
});

test('what breaks a signature is said at once, and once for each domain', () => {
  const before = [{ name: 'Subject', value: ' one' }];
  const after = [
    { name: 'Subject', value: ' two' },
    { name: 'To', value: ' x' },
  ];
  const signatures: PassingSignature[] = [
    { domain: 'a.example', covers: ['subject', 'to'], form: 'relaxed' },
    { domain: 'a.example', covers: ['subject', 'to'], form: 'relaxed' },
    { domain: 'b.example', covers: [], form: 'relaxed' },
  ];
  assert.deepEqual(brokenSignatures(signatures, before, after, true), [
    'breaks d=a.example: h= covers Subject, To; bh= covers the body',
    'breaks d=b.example: bh= covers the body',
  ]);
  assert.deepEqual(brokenSignatures(signatures, before, before, false), []);
});

test('edits that touch nothing, and messages without signatures, break nothing', () => {
  assert.deepEqual(
    notes(['from'], () => {}),
    [],
  );
  const edits = new Edits();
  edits.headers.arrive(MESSAGE);
  edits.replaceBody(Buffer.from('x'));
  edits.finish('sendmail');
  assert.deepEqual(edits.notes.breaks, []);
});
