/**
 * What Postfix and Sendmail really sent, played to a server again: whole, one packet at a time, and cut at many
 * places. The policy says what the filter of the recording said; the bytes must be the same.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Interests, PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import { EVERYTHING } from '../helpers/interests.ts';
import { everyCut, mta } from '../helpers/packet-builder.ts';
import { bytesFrom, readTranscripts, type Transcript, type TranscriptPacket } from '../helpers/transcript.ts';
import { type Decide, TestServer } from './connection-server.ts';

const EVENT_OF: Readonly<Record<string, PolicyEvent['kind']>> = {
  C: 'connect',
  H: 'helo',
  M: 'mail',
  R: 'rcpt',
  T: 'data',
  N: 'headers',
  B: 'chunk',
  E: 'endOfMessage',
  U: 'unknown',
};
/** The filter of the recordings changed nothing. */
const INTERESTS: Interests = { ...EVERYTHING, actions: 0 };
const letterOf = ({ bytes }: TranscriptPacket) => bytes.toString('latin1', 4, 5);

/** The recorded verdict on the n-th event of a kind, as `rcpt 2`. */
function verdictsOf({ packets }: Transcript): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  const times = new Map<string, number>();
  let event = '';
  for (const packet of packets) {
    const letter = letterOf(packet);
    if (packet.from === 'MTA') {
      if (letter === 'D') continue;
      const kind = EVENT_OF[letter] ?? letter;
      times.set(kind, (times.get(kind) ?? 0) + 1);
      event = `${kind} ${times.get(kind)}`;
    } else if (letter === 'y') {
      const [, code, enhanced, text] =
        /^(\d{3}) (\S+) (.*)\0$/.exec(packet.bytes.toString('latin1', 5)) ?? [];
      verdicts.set(event, {
        kind: 'reply',
        code: Number(code),
        enhanced: enhanced ?? '',
        lines: [text ?? ''],
      });
    } else {
      assert.ok(letter === 'c' || letter === 'O', `${packet.comment} is not known here`);
    }
  }
  return verdicts;
}

/** As recorded, but a peer whose filter asked for no bits offers none that we would ask for. */
function spokenBy(transcript: Transcript): Buffer {
  const all = bytesFrom('MTA', transcript);
  const answer = transcript.packets.find(({ from }) => from === 'US')?.bytes;
  const offer = all.subarray(0, 17);
  if (answer?.readUInt32BE(13) === 0 && offer.readUInt32BE(13) === 0x1fffff) {
    return Buffer.concat([mta.optneg(6, 0x1ff, 0x800), all.subarray(17)]);
  }
  return all;
}

let server: TestServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

/** What the policy must see: each event of the recording, and the ends that follow from it. */
function eventsOf({ packets }: Transcript): string {
  const events: string[] = [];
  let inMessage = false;
  const end = () => {
    if (inMessage) events.push('reset');
    inMessage = false;
  };
  let last = '';
  for (const packet of packets) {
    const letter = letterOf(packet);
    if (packet.from === 'US') {
      if (letter === 'y' && last !== 'R' && last !== 'T') end();
      if (last === 'E') end();
      continue;
    }
    if (letter === 'D' || letter === 'O' || letter === 'L') continue;
    if ('AHMQ'.includes(letter)) end();
    last = letter;
    const kind = EVENT_OF[letter];
    if (kind) events.push(kind);
    if (letter === 'M') inMessage = true;
  }
  end();
  return [...events, 'close'].join(' ');
}

for (const transcript of readTranscripts()) {
  describe(transcript.name, () => {
    const verdicts = verdictsOf(transcript);
    const decide: Decide = (event, policy) => {
      const time = policy.events.filter(({ kind }) => kind === event.kind).length;
      return verdicts.get(`${event.kind} ${time}`) ?? { kind: 'continue' };
    };
    const late: Decide = (event, policy) =>
      new Promise((resolve) => setImmediate(() => resolve(decide(event, policy))));
    // Version 2 and 3 have no DATA event: ours would be asked at the first header, and the recording says nothing of it.
    const interests: Interests = /protocol-[23]$/.test(transcript.name)
      ? { ...INTERESTS, data: 'none' }
      : INTERESTS;
    const stream = spokenBy(transcript);
    const answers = bytesFrom('US', transcript);
    const events = eventsOf(transcript);

    const playTo = async (to: TestServer, parts: readonly Buffer[]) => {
      const peer = await to.connect();
      await peer.send(...parts);
      const got = Buffer.alloc(answers.length);
      let length = 0;
      while (length < answers.length) {
        const packet = await peer.packet();
        if (!packet) break;
        const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(packet.letter), packet.payload]);
        bytes.writeUInt32BE(bytes.length - 4);
        length += bytes.copy(got, length);
      }
      peer.socket.end();
      assert.equal(got.toString('hex'), answers.toString('hex'));
      assert.equal((await peer.rest()).length, 0);
      await peer.peer.connection.closed;
      assert.equal(to.policies.at(-1)?.kinds, events);
    };

    test('one packet at a time, waiting for each reply', async () => {
      server = await TestServer.start({ decide, interests });
      const peer = await server.connect();
      for (const { from, bytes } of transcript.packets) {
        if (from === 'MTA')
          await peer.send(bytes === transcript.packets[0]?.bytes ? stream.subarray(0, 17) : bytes);
        else assert.equal(await peer.letters(1), bytes.toString('latin1', 4, 5));
      }
      peer.socket.end();
      assert.equal((await peer.rest()).length, 0);
      await peer.peer.connection.closed;
      assert.equal(server.policies[0]?.kinds, events);
      assert.deepEqual(server.log, []);
    });

    test('all at once, to a policy that answers at once and to one that answers later', async () => {
      for (const answering of [decide, late]) {
        server = await TestServer.start({ decide: answering, interests });
        await playTo(server, [stream]);
        await server.stop();
      }
    });

    test('cut into two at many places', async () => {
      server = await TestServer.start({ decide, interests });
      const cuts = [...everyCut(stream.subarray(0, 1500))].filter(
        ([first]) => (first?.length ?? 0) % 13 === 3,
      );
      for (const [first = Buffer.alloc(0)] of cuts) {
        await playTo(server, [first, stream.subarray(first.length)]);
      }
    });
  });
}
