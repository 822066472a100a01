/**
 * What it costs to verify signed messages: ours, with SPF and DMARC besides, beside OpenDKIM's filter, which verifies; and
 * a large one beside a program that only reads it and hashes it.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { Nsd } from '../dns/nsd.ts';
import { Mta } from '../helpers/mta.ts';
import { mta as packets } from '../helpers/packet-builder.ts';
import { HOSTILE, honest, ZONE } from '../mail-auth/hostile-messages.ts';
import { messageText, type ParsedMessage, signed } from '../mail-auth/messages.ts';
import { median } from './measure.ts';
import { ServerUnderTest } from './server.ts';

const BODY_BYTES = 10 * 1024;
const MESSAGES = 500;
/** V8 needs so many to compile all that takes part. */
const WARM_UP = 6000;
const WARM_UP_OF_STRANGERS = 1500;
const CONNECTIONS = 10;
const MESSAGES_OF_A_CONNECTION = 10;

const LARGE_BYTES = 25 * 1024 * 1024;
const LARGE_MESSAGES = 5;
const CHUNK = 65_535;

/** Hostile messages of a run, and those of more than so many bytes. */
const HOSTILE_MANY = 500;
const HOSTILE_FEW = 10;
const HOSTILE_LARGE = 1024 * 1024;

export interface Verification {
  /** CPU time for a message, in µs. */
  readonly ours: number;
  /** Where each message is of a sender's domain that was not there before. */
  readonly ofStrangers: number;
  readonly opendkim: number;
  /** Of messages a second and core. */
  readonly ratio: number;
  readonly ratioOfStrangers: number;
  /** Of base64, and of text. */
  readonly large: LargeVerification;
  readonly largeText: LargeVerification;
}

/** Of 25 MB. */
export interface LargeVerification {
  /** CPU time for a message, in ms. */
  readonly ours: number;
  readonly hashed: number;
  /** Of CPU time. */
  readonly ratio: number;
}

/** Checks all that comes, and says so in Authentication-Results. */
function checker(folder: string, dns: Nsd): Promise<ServerUnderTest> {
  const script = join(folder, 'auth.lua');
  writeFileSync(script, 'function smtp.do_dot() local found = must(auth.check { add = true }) end');
  return ServerUnderTest.ours(script, folder, 'memory', ['--dns-server', dns.server]);
}

/** The records of keys of example.com, by selector. */
function keysOf(zone: Readonly<Record<string, string>>): Record<string, string> {
  const suffix = '._domainkey.example.com TXT';
  return Object.fromEntries(
    Object.entries(zone).flatMap(([name, record]) =>
      name.endsWith(suffix) ? [[name.slice(0, -suffix.length), record]] : [],
    ),
  );
}

/** @param keys records of keys of example.com, by selector */
function startDns(keys: Readonly<Record<string, string>>): Promise<Nsd> {
  const parts = (record: string) => (record.match(/.{1,200}/g) ?? []).map((part) => `"${part}"`).join(' ');
  return Nsd.start({
    'example.com': `@ 3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
* 3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc 3600 IN TXT "v=DMARC1; p=reject"
${Object.entries(keys)
  .map(([selector, record]) => `${selector}._domainkey 3600 IN TXT ${parts(record)}\n`)
  .join('')}`,
    // DMARC asks for _dmarc.com too: that there is none is kept, and a refusal would not be.
    com: '',
  });
}

/** What a message costs that was made to be dear, CPU time in µs. */
export interface HostileCost {
  readonly hostile: number;
  /** An honest message of its size. */
  readonly honest: number;
  readonly ratio: number;
}

/** @param runs of each @param found is told of each when it is measured */
export async function hostileCosts(
  folder: string,
  runs: number,
  found: (name: string, cost: HostileCost) => void,
): Promise<void> {
  const dns = await startDns(keysOf(ZONE));
  let server: ServerUnderTest | undefined;
  try {
    server = await checker(folder, dns);
    const ours = server;
    const cost = (sent: ParsedMessage, count: number) =>
      cpuMsOfEach(ours, count, () => send(ours, sent, count, undefined, /dkim=/));
    await cost(honest(BODY_BYTES), WARM_UP);
    for (const [name, message] of Object.entries(HOSTILE)) {
      // No mail server hands over a longer field, and one with so many is refused before it is checked.
      const isLong = message.fields.some(({ name, value }) => name.length + value.length > CHUNK - 2);
      if (isLong || message.fields.length > 1000) continue;
      const bytes = messageText(message).length;
      const other = honest(bytes);
      const count = bytes > HOSTILE_LARGE ? HOSTILE_FEW : HOSTILE_MANY;
      const pairs: { readonly hostile: number; readonly honest: number }[] = [];
      // V8 compiles what it has not seen as yet.
      await cost(message, count * 4);
      for (let run = 0; run < runs; run += 1) {
        pairs.push({ hostile: await cost(message, count), honest: await cost(other, count) });
      }
      found(name, {
        hostile: median(pairs.map(({ hostile }) => hostile)) * 1000,
        honest: median(pairs.map(({ honest }) => honest)) * 1000,
        ratio: median(pairs.map(({ hostile, honest }) => hostile / honest)),
      });
    }
  } finally {
    await server?.stop();
    await dns.stop();
  }
}

/** @param runs of each */
export async function verification(folder: string, runs: number): Promise<Verification> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const record = keyRecord(privateKey);
  const dns = await startDns({ s1: record });
  const servers: ServerUnderTest[] = [];
  const started = async (starting: Promise<ServerUnderTest>) => {
    const server = await starting;
    servers.push(server);
    return server;
  };
  try {
    const ours = await started(checker(folder, dns));
    const opendkim = await started(startOpendkim(folder, record));
    const hasher = await started(startHasher(folder));
    const small = message(privateKey, BODY_BYTES);
    const cpu = await pairs(ours, opendkim, small, { warmUp: WARM_UP, runs });
    const strangers = await pairs(
      ours,
      opendkim,
      small,
      { warmUp: WARM_UP_OF_STRANGERS, runs },
      (n) => `<jane@d${n}.example.com>`,
    );
    const largeText = await largeVerification(ours, hasher, message(privateKey, LARGE_BYTES), runs);
    const large = await largeVerification(ours, hasher, message(privateKey, LARGE_BYTES, BASE64), runs);
    return {
      ours: median(cpu.map((pair) => pair.ours)),
      ofStrangers: median(strangers.map((pair) => pair.ours)),
      opendkim: median(cpu.map((pair) => pair.theirs)),
      ratio: ratioOf(cpu),
      ratioOfStrangers: ratioOf(strangers),
      large,
      largeText,
    };
  } finally {
    for (const server of servers) await server.stop();
    await dns.stop();
  }
}

function startOpendkim(folder: string, record: string): Promise<ServerUnderTest> {
  const conf = join(folder, 'opendkim.conf');
  const keys = join(folder, 'keys');
  writeFileSync(keys, `s1._domainkey.example.com ${record}\n`);
  writeFileSync(
    conf,
    `Mode v\nSyslog no\nUserID root\nAlwaysAddARHeader yes\nTestPublicKeys ${keys}\nBackground no\n`,
  );
  return ServerUnderTest.program((port) => ['opendkim', '-f', '-x', conf, '-p', `inet:${port}@127.0.0.1`]);
}

/** Says the hash of what comes on a connection, when all has come. */
function startHasher(folder: string): Promise<ServerUnderTest> {
  const program = join(folder, 'hasher.mjs');
  writeFileSync(
    program,
    `import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash('sha256');
  socket.on('data', (bytes) => hash.update(bytes));
  socket.on('end', () => socket.end(hash.digest('base64')));
  socket.on('error', () => {});
}).listen(Number(process.argv[2]), '127.0.0.1');
`,
  );
  return ServerUnderTest.program((port) => [process.execPath, program, String(port)]);
}

interface Pair {
  readonly ours: number;
  readonly theirs: number;
}

const ratioOf = (pairs: readonly Pair[]): number => median(pairs.map(({ ours, theirs }) => theirs / ours));

let numbered = 0;

/** Both at the same time, so that what else the machine does is the same for both. In µs. */
async function pairs(
  ours: ServerUnderTest,
  theirs: ServerUnderTest,
  sent: ParsedMessage,
  { warmUp, runs }: { readonly warmUp: number; readonly runs: number },
  senderOf?: (n: number) => string,
): Promise<Pair[]> {
  const found: Pair[] = [];
  const both = async (count: number): Promise<Pair> => {
    const [one = Number.NaN, other = Number.NaN] = await Promise.all(
      [ours, theirs].map((server) =>
        cpuMsOfEach(server, count, async () => {
          await Promise.all(
            Array.from({ length: CONNECTIONS }, () => send(server, sent, count / CONNECTIONS, senderOf)),
          );
        }),
      ),
    );
    return { ours: one * 1000, theirs: other * 1000 };
  };
  for (let warm = 0; warm < warmUp; warm += MESSAGES) await both(MESSAGES);
  for (let run = 0; run < runs; run += 1) found.push(await both(MESSAGES));
  return found;
}

/** In turn: one message keeps a core busy. */
async function largeVerification(
  ours: ServerUnderTest,
  hasher: ServerUnderTest,
  sent: ParsedMessage,
  runs: number,
): Promise<LargeVerification> {
  const found: { readonly ours: number; readonly hashed: number }[] = [];
  const chunks = chunksOf(sent.body);
  const bytes = Buffer.concat(chunks.map((chunk) => packets.body(chunk)));
  const times = async (work: () => Promise<void>) => {
    for (let i = 0; i < LARGE_MESSAGES; i += 1) await work();
  };
  for (let run = -1; run < runs; run += 1) {
    const hashed = await cpuMsOfEach(hasher, LARGE_MESSAGES, () => times(() => hash(hasher, bytes)));
    const cpu = await cpuMsOfEach(ours, LARGE_MESSAGES, () => times(() => send(ours, sent, 1)));
    if (run >= 0) found.push({ ours: cpu, hashed });
  }
  return {
    ours: median(found.map((pair) => pair.ours)),
    hashed: median(found.map((pair) => pair.hashed)),
    ratio: median(found.map((pair) => pair.ours / pair.hashed)),
  };
}

/** CPU time of the server for one of so many, in ms. */
async function cpuMsOfEach(
  server: ServerUnderTest,
  count: number,
  work: () => Promise<void>,
): Promise<number> {
  const before = server.cpuMs();
  await work();
  return (server.cpuMs() - before) / count;
}

function chunksOf(body: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += CHUNK) chunks.push(body.subarray(at, at + CHUNK));
  return chunks;
}

const TEXT = 'It is a text of which there are many lines, and none is longer than others.\r\n';
/** As attachments are, which make mail large. */
const BASE64 = `${'QUJD'.repeat(19)}\r\n`;

function message(key: KeyObject, bytes: number, line = TEXT): ParsedMessage {
  const body = Buffer.from(line.repeat(Math.ceil(bytes / line.length)));
  const fields = [
    { name: 'From', value: ' Jane <jane@example.com>' },
    { name: 'To', value: ' bob@example.net' },
    { name: 'Subject', value: ' A day' },
    { name: 'Date', value: ' Sat, 28 Nov 2026 10:00:00 +0000' },
    { name: 'Message-ID', value: ' <1@example.com>' },
  ];
  return signed({ fields, body }, { key, domain: 'example.com', selector: 's1', now: Date.now() });
}

/** Sends it so often, one after the other, ten on a connection. */
async function send(
  server: ServerUnderTest,
  { fields, body }: ParsedMessage,
  count: number,
  senderOf: (n: number) => string = () => '<jane@example.com>',
  wanted = /dkim=pass/,
): Promise<void> {
  const headers = fields.map(({ name, value }) => [name, value.replaceAll('\r\n', '\n')] as const);
  const chunks = chunksOf(body);
  for (let sent = 0; sent < count; ) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7', 'mail.example.com');
    await mta.helo('mail.example.com');
    for (let i = 0; i < MESSAGES_OF_A_CONNECTION && sent < count; i += 1) {
      sent += 1;
      numbered += 1;
      await mta.mail(senderOf(numbered));
      await mta.rcpt('<bob@example.net>');
      await mta.data();
      // What has no reply goes in one piece, as with Postfix.
      mta.socket.cork();
      setImmediate(() => mta.socket.uncork());
      const reply = await mta.content(headers, ...chunks);
      const results = reply.modifications.map(({ payload }) => payload.toString('latin1')).join();
      if (!wanted.test(results)) throw new Error(`${reply.text || reply.letter} ${results}`);
    }
    await mta.quit();
    mta.socket.destroy();
  }
}

async function hash(server: ServerUnderTest, bytes: Buffer): Promise<void> {
  const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(bytes);
  socket.resume();
  await once(socket, 'close');
}
