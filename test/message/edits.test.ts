import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EditedMessage, Edits } from '../../src/message/edits.ts';
import { mailboxOf } from '../../src/milter/envelope-address.ts';
import { deleteRecipient } from '../helpers/delete-recipient.ts';

/** A recipient whom the MTA reads as its text says, unless it says otherwise. */
function named(edits: Edits, written: string, address = mailboxOf(written)): void {
  edits.recipientNamed({ address, written });
}

test('edits go out in one order, the body last', () => {
  const edits = new Edits();
  assert.equal(edits.isEmpty, true);
  edits.replaceBody(Buffer.from('old'));
  edits.quarantine('first');
  edits.addRecipient('<x@y.example>', 'NOTIFY=NEVER');
  edits.setSender('<first@y.example>');
  edits.headers.add({ name: 'X', value: ' v' });
  edits.replaceBody(Buffer.from('new'));
  edits.quarantine('why');
  edits.setSender('<>', 'RET=HDRS');
  assert.equal(edits.isEmpty, false);
  assert.deepEqual(edits.compile(), [
    { kind: 'addHeader', name: 'X', value: ' v' },
    { kind: 'changeSender', address: '<>', params: 'RET=HDRS' },
    { kind: 'addRecipient', address: '<x@y.example>', params: 'NOTIFY=NEVER' },
    { kind: 'quarantine', reason: 'why' },
    { kind: 'replaceBody', bytes: Buffer.from('new') },
  ]);
});

test('a header edit that came to nothing still counts as one made', () => {
  const edits = new Edits();
  edits.headers.delete('Subject');
  assert.equal(edits.isEmpty, false);
  assert.deepEqual(edits.compile(), []);
});

test('a recipient is deleted as the client wrote it', () => {
  const edits = new Edits();
  for (const written of ['<C@D.Example>', 'bare@x.example', '<twice@x.example>', 'twice@x.example']) {
    named(edits, written);
  }
  named(edits, '<twice@x.example>');
  named(edits, '<a%b.example@mx.example>', 'a@b.example');
  named(edits, '<Postmaster>', 'Postmaster@mx.example');
  assert.equal(deleteRecipient(edits, '<C@d.example>'), true);
  assert.equal(deleteRecipient(edits, '" bare"@x.example'), false);
  assert.equal(deleteRecipient(edits, '"bare"@x.example.'), true);
  assert.equal(deleteRecipient(edits, 'twice@X.example'), true);
  assert.equal(deleteRecipient(edits, 'a@b.example'), true);
  assert.equal(deleteRecipient(edits, 'Postmaster'), true);
  assert.deepEqual(
    edits.compile(),
    [
      ...['<C@D.Example>', 'bare@x.example', '<twice@x.example>', 'twice@x.example'],
      ...['<a%b.example@mx.example>', '<Postmaster>'],
    ].map((address) => ({ kind: 'deleteRecipient', address })),
  );
});

test('what Postfix knows under what is within the path alone is named so too', () => {
  for (const [written, inner] of [
    ['<@relay.example:"c d"@e.example>', '<"c d"@e.example>'],
    ['<@r1.example,@r2.example:c@e.example>', '<c@e.example>'],
    ['<<c@e.example>>', '<c@e.example>'],
    ['<Foo <c(x)@E.example.>>', '<c(x)@E.example.>'],
    ['<;c@e.example>', '<c@e.example>'],
    ['<list: c@e.example;>', '<c@e.example>'],
  ] as const) {
    const edits = new Edits();
    named(edits, written);
    assert.equal(deleteRecipient(edits, mailboxOf(written)), true, written);
    assert.deepEqual(
      edits.compile(),
      [written, inner].map((address) => ({ kind: 'deleteRecipient', address })),
    );
  }
  // To Sendmail this is another mailbox, and c@e.example may be a recipient too.
  const edits = new Edits();
  named(edits, '<;c@e.example>', '";c"@e.example');
  assert.equal(deleteRecipient(edits, '";c"@e.example'), true);
  assert.deepEqual(edits.compile(), [{ kind: 'deleteRecipient', address: '<;c@e.example>' }]);
});

test('a recipient is found by the client’s own path', () => {
  const edits = new Edits();
  named(edits, '< b@x>');
  assert.equal(edits.hasPath('< b@x>'), true);
  assert.equal(deleteRecipient(edits, '< b@x>'), true);
  assert.equal(deleteRecipient(edits, '< b@x>'), false);
  assert.equal(edits.hasPath('< b@x>'), true);
  assert.deepEqual(edits.compile()[0], { kind: 'deleteRecipient', address: '< b@x>' });
});

test('who is no recipient is not deleted', () => {
  const edits = new Edits();
  named(edits, '<c@d.example>');
  named(edits, '<refused@d.example>');
  edits.recipientRefused();
  assert.equal(deleteRecipient(edits, '<C@d.example>'), false);
  assert.equal(deleteRecipient(edits, '<refused@d.example>'), false);
  assert.equal(deleteRecipient(edits, '<c@d.example>'), true);
  assert.equal(deleteRecipient(edits, '<c@d.example>'), false);
  assert.deepEqual(edits.compile(), [{ kind: 'deleteRecipient', address: '<c@d.example>' }]);
});

test('a recipient that was added is taken back, one that was deleted is added again', () => {
  const edits = new Edits();
  named(edits, '<c@d.example>');
  edits.addRecipient('<x@y.example>');
  assert.equal(deleteRecipient(edits, '<x@Y.example>'), true);
  assert.equal(deleteRecipient(edits, '<c@d.example>'), true);
  edits.addRecipient('<c@d.example>', 'NOTIFY=NEVER');
  assert.deepEqual(edits.compile(), [
    { kind: 'deleteRecipient', address: '<c@d.example>' },
    { kind: 'addRecipient', address: '<c@d.example>', params: 'NOTIFY=NEVER' },
  ]);
});

test('what is made last sees all edits, and what was made before it', async () => {
  const edits = new Edits();
  edits.headers.arrive(['Subject: one', 'X: gone', 'To: a@b.example']);
  const seen: string[][] = [];
  const bodies: (string | undefined)[] = [];
  const make =
    (...names: string[]) =>
    async ({ fields, body }: EditedMessage) => {
      seen.push(fields.map(({ name, value }) => `${name}:${value}`));
      bodies.push(body?.toString());
      return { fields: names.map((name) => ({ name, value: ' v' })) };
    };
  edits.makeLast('seal', make('Seal', 'Sealed'));
  edits.makeLast('signature', make('First'));
  edits.makeLast('signature', make('Second'));
  edits.headers.delete('X');
  edits.headers.set({ name: 'Subject', value: ' two' });
  edits.replaceBody(Buffer.from('body'));
  assert.ok(!edits.compile().some(({ kind }) => kind === 'insertHeader'));
  await edits.finish('postfix');
  const fields = ['Subject: two', 'To: a@b.example'];
  assert.deepEqual(seen, [fields, ['First: v', ...fields], ['Second: v', 'First: v', ...fields]]);
  assert.deepEqual(bodies, ['body', 'body', 'body']);
  const expected = [
    { kind: 'changeHeader', index: 1, name: 'Subject', value: ' two' },
    { kind: 'changeHeader', index: 1, name: 'X', value: '' },
    ...['First', 'Second', 'Sealed', 'Seal'].map((name) => ({
      ...{ kind: 'insertHeader', index: 0, name, value: ' v' },
    })),
    { kind: 'replaceBody', bytes: Buffer.from('body') },
  ];
  assert.deepEqual(edits.compile(), expected);
  assert.equal(edits.finish('postfix'), undefined);
  assert.deepEqual(edits.compile(), expected);
});

test('what a callback that failed wanted to have made last is not made', () => {
  const edits = new Edits();
  edits.beginCallback();
  edits.make(() => edits.makeLast('signature', async () => ({ fields: [{ name: 'X', value: ' v' }] })));
  assert.equal(edits.dropCallback(), 1);
  assert.equal(edits.finish('sendmail'), undefined);
});
