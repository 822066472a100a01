/** Inputs over real sockets to a real server, beside a session that behaves: it must be served as if it were alone. */
import assert from 'node:assert/strict';
import { mta } from '../helpers/packet-builder.ts';
import { type Decide, TestServer } from '../net/connection-server.ts';
import { Random } from './random.ts';
import { brokenSession, pieces, validSession } from './session-stream.ts';

const VERDICTS = [
  'continue',
  'continue',
  'continue',
  'accept',
  'reject',
  'tempfail',
  'discard',
  'skip',
] as const;
const MOST_AT_ONCE = 20;

/** Any verdict, at once, in a moment, or in the next turn of the loop. */
function fickle(random: Random): Decide {
  return (_event, policy) => {
    const verdict = { kind: policy.session.id === 's1' ? 'continue' : random.pick(VERDICTS) } as const;
    switch (random.below(3)) {
      case 0:
        return verdict;
      case 1:
        return Promise.resolve(verdict);
      default:
        return new Promise((resolve) => setImmediate(() => resolve(verdict)));
    }
  };
}

/** Runs rounds of inputs until `deadline` (performance.now() ms); returns how many inputs there were. */
export async function fuzzOverSocket(seed: number, deadline: number): Promise<number> {
  const random = new Random(seed);
  const server = await TestServer.start({
    decide: fickle(random),
    timeouts: { negotiationMs: 5_000, packetMs: 5_000, idleMs: 5_000, progressMs: 5_000 },
  });
  try {
    return await runRounds(server, random, deadline);
  } finally {
    await server.stop();
  }
}

async function runRounds(server: TestServer, random: Random, deadline: number): Promise<number> {
  const witness = await server.connect();
  await witness.send(mta.optneg(6, 0x1ff, 0x1fffff));
  assert.equal(await witness.letters(1), 'O');

  let inputs = 0;
  while (performance.now() < deadline) {
    const first = server.accepted.length;
    const round = 1 + random.below(MOST_AT_ONCE);
    await Promise.all(Array.from({ length: round }, () => send(server, random)));
    inputs += round;

    await witness.send(Buffer.concat([mta.helo('x'), mta.mail('<a@b.example>'), mta.rcpt('<c@d.example>')]));
    assert.equal(await witness.letters(3), 'ccc', 'the session that behaves');
    await witness.send(
      Buffer.concat([mta.data(), mta.header('X', ' v'), mta.eoh(), mta.body('x'), mta.eom()]),
    );
    assert.equal(await witness.letters(2), 'cc', 'the session that behaves');
    assert.equal(witness.pending.length, 0);

    await Promise.all(server.accepted.slice(first).map(({ connection }) => connection.closed));
    checkPolicies(server);
  }
  return inputs;
}

/** One input on a connection of its own; it ends as peers end: at once, when answered, or half closed. */
async function send(server: TestServer, random: Random): Promise<void> {
  const bytes = random.chance(5) ? Buffer.concat(validSession(random)) : brokenSession(random);
  const parts = pieces(bytes, random);
  const end = random.below(3);
  const peer = await server.connect();
  for (const part of parts) peer.socket.write(part);
  if (end === 0) peer.socket.destroy();
  else peer.socket.end();
  await peer.rest();
}

function checkPolicies(server: TestServer): void {
  const internal = server.log.filter((line) => line.includes('internal error'));
  assert.deepEqual(internal, []);
  assert.ok(server.log.length <= server.accepted.length, 'one line for a connection at most');
  for (const policy of server.policies) {
    if (policy.session.id === 's1') continue;
    const kinds = policy.kinds;
    assert.equal(policy.disposed, 1, `disposed of ${policy.disposed} times: ${kinds}`);
    const closes = kinds.split(' ').filter((kind) => kind === 'close').length;
    assert.ok(closes <= 1 && (closes === 0 || kinds.endsWith('close')), kinds);
    assert.ok(!/\bmail\b(?!.*\breset\b)/.test(kinds), `no reset: ${kinds}`);
  }
  const [witness] = server.policies;
  witness?.events.splice(0);
  server.policies.splice(1);
  server.accepted.splice(1);
  server.log.splice(0);
}
