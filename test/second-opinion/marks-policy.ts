/** The policy of filter.c for our server: marks in the text of an event say what is answered. */
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import type { Modification } from '../../src/milter/reply.ts';
import type { Decide, TestPolicy } from '../net/connection-server.ts';

const VERDICTS: Readonly<Record<string, Verdict>> = {
  a: { kind: 'accept' },
  r: { kind: 'reject' },
  t: { kind: 'tempfail' },
  d: { kind: 'discard' },
  s: { kind: 'skip' },
  y: { kind: 'reply', code: 550, enhanced: '5.7.1', lines: ['No such thing'] },
  z: { kind: 'reply', code: 421, enhanced: '4.7.0', lines: ['Closing'] },
  m: { kind: 'reply', code: 451, enhanced: '4.7.1', lines: ['One', 'Two 100%'] },
};

const CHANGES: readonly Modification[] = [
  { kind: 'addHeader', name: 'X-Added', value: ' one\n\ttwo' },
  { kind: 'insertHeader', index: 0, name: 'X-Inserted', value: ' first' },
  { kind: 'changeHeader', index: 1, name: 'Subject', value: ' changed' },
  { kind: 'changeHeader', index: 2, name: 'X-Gone', value: '' },
  { kind: 'addRecipient', address: '<new@b.example>' },
  { kind: 'addRecipient', address: '<par@b.example>', params: 'NOTIFY=NEVER' },
  { kind: 'deleteRecipient', address: '<old@b.example>' },
  { kind: 'changeSender', address: '<from@a.example>', params: 'RET=HDRS' },
  { kind: 'quarantine', reason: 'why' },
  { kind: 'replaceBody', bytes: Buffer.from('new\r\n') },
];

function mark(text: string, name: string): Verdict {
  const letter = new RegExp(`${name}=(.)`, 's').exec(text)?.[1];
  return VERDICTS[letter ?? ''] ?? { kind: 'continue' };
}

function senderOf(policy: TestPolicy): string {
  const mail = policy.events.findLast(({ kind }) => kind === 'mail');
  return mail?.kind === 'mail' ? mail.written : '';
}

export const marksPolicy: Decide = (event: PolicyEvent, policy): Verdict => {
  switch (event.kind) {
    case 'connect':
      return mark(event.hostname, 'say');
    case 'helo':
      return mark(event.name, 'say');
    case 'mail':
    case 'rcpt':
      return mark(event.written, 'say');
    case 'data':
      return mark(senderOf(policy), 'data');
    case 'headers':
      return mark(event.lines.join('\n'), 'say');
    case 'chunk':
      return mark(wholeOf(event.bytes).toString('latin1'), 'say');
    case 'endOfMessage': {
      const verdict = mark(senderOf(policy), 'eom');
      const mayChange = verdict.kind === 'continue' || verdict.kind === 'accept';
      return mayChange && senderOf(policy).includes('mod=1')
        ? { ...verdict, modifications: CHANGES }
        : verdict;
    }
    case 'unknown':
      return mark(event.line, 'say');
    default:
      return { kind: 'continue' };
  }
};
