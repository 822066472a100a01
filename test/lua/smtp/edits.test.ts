import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Edits } from '../../../src/lua/smtp/edits.ts';

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
  for (const written of [
    '<C@D.Example>',
    '<@relay.example:"c d"@e.example>',
    'bare@x.example',
    '<twice@x.example>',
  ]) {
    edits.recipientNamed(written);
  }
  edits.recipientNamed('twice@x.example');
  edits.recipientNamed('<twice@x.example>');
  assert.equal(edits.deleteRecipient('<C@d.example>'), true);
  assert.equal(edits.deleteRecipient('<"c d"@e.example>'), true);
  assert.equal(edits.deleteRecipient('<bare@x.example>'), true);
  assert.equal(edits.deleteRecipient('<twice@x.example>'), true);
  assert.deepEqual(
    edits.compile(),
    [
      '<C@D.Example>',
      '<@relay.example:"c d"@e.example>',
      'bare@x.example',
      '<twice@x.example>',
      'twice@x.example',
    ].map((address) => ({ kind: 'deleteRecipient', address })),
  );
});

test('who is no recipient is not deleted', () => {
  const edits = new Edits();
  edits.recipientNamed('<c@d.example>');
  edits.recipientNamed('<refused@d.example>');
  edits.recipientRefused();
  assert.equal(edits.deleteRecipient('<C@d.example>'), false);
  assert.equal(edits.deleteRecipient('<refused@d.example>'), false);
  assert.equal(edits.deleteRecipient('<c@d.example>'), true);
  assert.equal(edits.deleteRecipient('<c@d.example>'), false);
  assert.deepEqual(edits.compile(), [{ kind: 'deleteRecipient', address: '<c@d.example>' }]);
});

test('a recipient that was added is taken back, one that was deleted is added again', () => {
  const edits = new Edits();
  edits.recipientNamed('<c@d.example>');
  edits.addRecipient('<x@y.example>');
  assert.equal(edits.deleteRecipient('<x@Y.example>'), true);
  assert.equal(edits.deleteRecipient('<c@d.example>'), true);
  edits.addRecipient('<c@d.example>', 'NOTIFY=NEVER');
  assert.deepEqual(edits.compile(), [
    { kind: 'deleteRecipient', address: '<c@d.example>' },
    { kind: 'addRecipient', address: '<c@d.example>', params: 'NOTIFY=NEVER' },
  ]);
});
