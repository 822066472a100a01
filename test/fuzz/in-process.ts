/** One input through decoder, command decoder and session: what must hold whatever the bytes are. */
import assert from 'node:assert/strict';
import { wholeOf } from '../../src/milter/body-bytes.ts';
import { decodeCommand } from '../../src/milter/decode-command.ts';
import { encodeReply } from '../../src/milter/encode-reply.ts';
import { FrameDecoder } from '../../src/milter/frame-decoder.ts';
import type { Interest, Interests, PolicyEvent } from '../../src/milter/policy.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { Session, type Step } from '../../src/milter/session.ts';
import { VERDICT } from '../milter/session-driver.ts';
import { Random } from './random.ts';
import { pieces } from './session-stream.ts';

const INTERESTS: readonly Interest[] = ['none', 'data', 'verdict', 'verdict'];
const LETTERS = [...Object.keys(VERDICT), 'c', 'c', 'c', 'c', 'c', 'c'];

function someInterests(random: Random): Interests {
  const interest = () => random.pick(INTERESTS);
  return {
    connect: interest(),
    helo: interest(),
    mail: interest(),
    rcpt: interest(),
    data: interest(),
    headers: interest(),
    body: interest(),
    unknown: interest(),
    actions: 0x1ff,
    symbols: [],
  };
}

/**
 * @param seed decides on the interests, the verdicts and the pieces.
 * @throws AssertionError, or whatever the code under test should not have thrown.
 */
export function checkInProcess(input: Buffer, seed: number): void {
  const whole = traceOf([input], seed);
  assert.deepEqual(traceOf(pieces(input, new Random(seed)), seed), whole, 'pieces change nothing');
}

/** Everything the session did. */
function traceOf(chunks: readonly Buffer[], seed: number): string[] {
  const random = new Random(seed);
  const session = new Session(someInterests(random), { ...LIMITS });
  const decoder = new FrameDecoder();
  const trace: string[] = [];
  let open = 0;

  const carryOut = (first: readonly Step[], answers: number): void => {
    let steps = first;
    let replies = 0;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Step;
      switch (step.kind) {
        case 'send':
          replies += 1;
          assert.ok(replies <= answers, `${replies} replies to one command`);
          trace.push(encodeReply(step.reply).toString('latin1'));
          assert.ok(step.reply.kind !== 'progress');
          break;
        case 'ask':
          open = 1;
          assert.equal(i, steps.length - 1);
          assert.equal(replies, 0);
          trace.push(`${JSON.stringify(whole(step.event))}?`);
          steps = session.answer(VERDICT[random.pick(LETTERS)] ?? { kind: 'continue' });
          i = -1;
          break;
        case 'tell':
          trace.push(`${step.event.kind}!`);
          open = step.event.kind === 'close' ? 0 : 1;
          break;
        case 'again':
          assert.equal(i, steps.length - 1);
          steps = session.receive(step.command);
          i = -1;
          break;
        default:
          trace.push(step.kind);
      }
    }
  };

  try {
    stream: for (const chunk of chunks) {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame; frame = decoder.next()) {
        const command = decodeCommand(frame);
        const silent = ['macro', 'abort', 'quit', 'quitNewConnection'].includes(command.kind);
        carryOut(session.receive(command), silent ? 0 : 1);
        if (command.kind === 'quit') break stream;
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    trace.push(error.message.replace(/:.*/s, ''));
  }
  carryOut(session.end(), 0);
  assert.equal(open, 0, 'the policy was told of the end');
  assert.deepEqual(session.end(), []);
  return trace;
}

/** An event as it is seen by those who do not care in how many pieces it came. */
function whole(event: PolicyEvent): PolicyEvent {
  return event.kind === 'chunk' ? { ...event, bytes: wholeOf(event.bytes) } : event;
}

const LIMITS = { headerBytes: 1000, headers: 20, recipients: 5, bodyBytes: 100_000 };
