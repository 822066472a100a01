/** Changes as each MTA makes them; what is expected was delivered by Postfix 3.7 and Sendmail 8.17. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Modification } from '../../src/milter/reply.ts';
import type { MtaKind } from '../../src/workbench/client-reply.ts';
import { applyModifications } from '../../src/workbench/delivery.ts';
import { formatHeaders, parseMessage } from '../../src/workbench/mail-message.ts';

const MESSAGE = 'From: a\nTo: b\nDate: d\nMessage-Id: <m>\nSubject: s\n\nbody\n';

function headersOf(mta: MtaKind, modifications: readonly Modification[], text = MESSAGE): string[] {
  const envelope = { sender: '', senderParams: [], recipients: [] };
  const message = parseMessage(Buffer.from(text));
  const missing = text.includes('Date:') ? [] : [{ name: 'Date', value: ' now' }];
  const { headers } = applyModifications(mta, envelope, message, modifications, missing).message;
  return formatHeaders(headers).split('\r\n').slice(0, -1);
}

function insert(index: number): Modification {
  return { kind: 'insertHeader', index, name: `I${index}`, value: '' };
}

test('headers inserted from the last place to the first', () => {
  const down = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map(insert);
  assert.equal(
    headersOf('postfix', down).join(' '),
    'I0: I1: From: a I2: To: b I3: Date: d I4: Message-Id: <m> I5: Subject: s I6: I9: I7: I8:',
  );
  assert.equal(
    headersOf('sendmail', down).join(' '),
    'I0: I1: I2: I3: I4: I5: I6: I7: I8: From: a I9: To: b Date: d Message-Id: <m> Subject: s',
  );
});

test('headers inserted from the first place to the last', () => {
  const up = [0, 1, 2, 3, 4].map(insert);
  const expected = 'I0: I1: I2: I3: I4: From: a To: b Date: d Message-Id: <m> Subject: s';
  assert.equal(headersOf('postfix', up).join(' '), expected);
  assert.equal(headersOf('sendmail', up).join(' '), expected);
});

test('a header added beside one of its name', () => {
  const add = (name: string, value: string): Modification => ({ kind: 'addHeader', name, value });
  const twice = [add('subject', ' 2'), add('Subject', ' 3')];
  assert.deepEqual(headersOf('postfix', twice).slice(4), ['Subject: s', 'subject: 2', 'Subject: 3']);
  assert.deepEqual(headersOf('sendmail', twice).slice(4), ['Subject: 3', 'subject: 2', 'Subject: s']);
});

test('a header that Sendmail adds takes the first value given to it', () => {
  const add = (value: string): Modification => ({ kind: 'addHeader', name: 'Date', value });
  assert.deepEqual(headersOf('sendmail', [], 'A: b\n\n'), ['Date: now', 'A: b']);
  assert.deepEqual(headersOf('sendmail', [add(' 1'), add(' 2')], 'A: b\n\n'), ['Date: 2', 'Date: 1', 'A: b']);
});

test('headers changed and deleted by their number', () => {
  const text = 'X: 1\nX: 2\nx: 3\n\n';
  const change = (index: number, value: string): Modification => ({
    kind: 'changeHeader',
    index,
    name: 'X',
    value,
  });
  const both = [change(2, ''), change(2, ' new')];
  // Postfix forgets a deleted header at once and writes the name it is given; Sendmail does neither.
  assert.deepEqual(headersOf('postfix', both, text), ['X: 1', 'X: new']);
  assert.deepEqual(headersOf('sendmail', both, text).slice(1), ['X: 1', 'X: new', 'x: 3']);
  assert.deepEqual(headersOf('postfix', [change(0, ' zero')], text)[0], 'X: zero');
  assert.deepEqual(headersOf('postfix', [change(4, ''), change(5, ' five')], text).slice(3), ['X: five']);
});

test('envelope and body', () => {
  const recipients = ['b@x', 'B@x', 'b@x', 'c@x'].map((address) => ({ address, params: [] }));
  const envelope = { sender: 'a@x', senderParams: ['SIZE=1', 'ret=full'], recipients };
  const message = parseMessage(Buffer.from(MESSAGE));
  const modifications: Modification[] = [
    { kind: 'changeSender', address: '<z@x>', params: 'RET=HDRS BODY=7BIT' },
    { kind: 'deleteRecipient', address: '<c@x>' },
    { kind: 'addRecipient', address: '<d@x>', params: 'NOTIFY=NEVER' },
    { kind: 'addRecipient', address: '<b@x>' },
    { kind: 'quarantine', reason: 'why' },
    { kind: 'replaceBody', bytes: Buffer.from('a\r') },
    { kind: 'replaceBody', bytes: Buffer.from('\nb\nc') },
  ];
  const addresses = (mta: MtaKind) => {
    const changed = applyModifications(mta, envelope, message, modifications);
    assert.equal(changed.envelope.sender, 'z@x');
    assert.deepEqual(
      changed.envelope.senderParams,
      mta === 'postfix' ? ['SIZE=1', 'RET=HDRS'] : ['RET=HDRS', 'BODY=7BIT'],
    );
    assert.equal(changed.quarantine, 'why');
    assert.equal(changed.message.body.toString(), 'a\r\nb\r\nc\r\n');
    return changed.envelope.recipients.map(({ address }) => address).join(' ');
  };
  assert.equal(addresses('postfix'), 'b@x d@x b@x');
  assert.equal(addresses('sendmail'), 'b@x B@x d@x');
});

test('what Sendmail takes out when it sends a message on', () => {
  const hidden = 'Return-Path: <x>\nBcc: y\nContent-Length: 1\n';
  assert.deepEqual(headersOf('sendmail', [], `${hidden}To: b\nDate: d\n\n`), ['To: b', 'Date: d']);
  assert.deepEqual(headersOf('sendmail', [], `${hidden}Date: d\n\n`), ['Bcc:', 'Date: d']);
});
