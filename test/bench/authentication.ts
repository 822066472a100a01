/** What it costs to verify a signed message: ours, with SPF and DMARC besides, beside OpenDKIM's filter, which verifies. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { Nsd } from '../dns/nsd.ts';
import { Mta } from '../helpers/mta.ts';
import { type ParsedMessage, signed } from '../mail-auth/messages.ts';
import { median } from './measure.ts';
import { ServerUnderTest } from './server.ts';

const BODY_BYTES = 10 * 1024;
const MESSAGES = 500;
/** V8 needs so many to compile all that takes part. */
const WARM_UP = 4000;

export interface Verification {
  /** CPU time for a message, in µs. */
  readonly ours: number;
  readonly opendkim: number;
  /** Of messages a second and core. */
  readonly ratio: number;
}

/** @param runs of each, in turn */
export async function verification(folder: string, runs: number): Promise<Verification> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const record = keyRecord(privateKey);
  const script = join(folder, 'auth.lua');
  writeFileSync(script, 'function smtp.do_dot() local found = must(auth.check { add = true }) end');
  writeFileSync(join(folder, 'keys'), `s1._domainkey.example.com ${record}\n`);
  const conf = join(folder, 'opendkim.conf');
  writeFileSync(
    conf,
    `Mode v\nSyslog no\nUserID root\nAlwaysAddARHeader yes\nTestPublicKeys ${join(folder, 'keys')}\nBackground no\n`,
  );
  const dns = await Nsd.start({
    'example.com': `@ 3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc 3600 IN TXT "v=DMARC1; p=reject"
s1._domainkey 3600 IN TXT ${(record.match(/.{1,200}/g) ?? []).map((part) => `"${part}"`).join(' ')}
`,
  });
  const servers: ServerUnderTest[] = [];
  try {
    servers.push(await ServerUnderTest.ours(script, folder, 'memory', ['--dns-server', dns.server]));
    servers.push(
      await ServerUnderTest.program((port) => ['opendkim', '-f', '-x', conf, '-p', `inet:${port}@127.0.0.1`]),
    );
    const [ours, opendkim] = servers;
    if (ours === undefined || opendkim === undefined) throw new Error('no servers');
    const sent = message(privateKey);
    for (const server of servers) await send(server, sent, WARM_UP);
    const cpu = { ours: [] as number[], opendkim: [] as number[] };
    for (let run = 0; run < runs; run += 1) {
      cpu.ours.push(await send(ours, sent, MESSAGES));
      cpu.opendkim.push(await send(opendkim, sent, MESSAGES));
    }
    const ratios = cpu.ours.map((time, run) => (cpu.opendkim[run] ?? Number.NaN) / time);
    return { ours: median(cpu.ours), opendkim: median(cpu.opendkim), ratio: median(ratios) };
  } finally {
    for (const server of servers) await server.stop();
    await dns.stop();
  }
}

function message(key: KeyObject): ParsedMessage {
  const line = 'It is a text of which there are many lines, and none is longer than others.\r\n';
  const body = Buffer.from(line.repeat(Math.ceil(BODY_BYTES / line.length)));
  const fields = [
    { name: 'From', value: ' Jane <jane@example.com>' },
    { name: 'To', value: ' bob@example.net' },
    { name: 'Subject', value: ' A day' },
    { name: 'Date', value: ' Sat, 28 Nov 2026 10:00:00 +0000' },
    { name: 'Message-ID', value: ' <1@example.com>' },
  ];
  return signed({ fields, body }, { key, domain: 'example.com', selector: 's1', now: Date.now() });
}

/** Sends it so often, ten on a connection. @returns CPU time of the server for one, in µs */
async function send(
  server: ServerUnderTest,
  { fields, body }: ParsedMessage,
  count: number,
): Promise<number> {
  const before = server.cpuMs();
  for (let sent = 0; sent < count; sent += 10) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7', 'mail.example.com');
    await mta.helo('mail.example.com');
    for (let i = 0; i < 10; i += 1) {
      await mta.mail('<jane@example.com>');
      await mta.rcpt('<bob@example.net>');
      await mta.data();
      const reply = await mta.content(
        fields.map(({ name, value }) => [name, value.replaceAll('\r\n', '\n')] as const),
        body,
      );
      const results = reply.modifications.map(({ payload }) => payload.toString('latin1')).join();
      if (!/dkim=pass/.test(results)) throw new Error(`${reply.text || reply.letter} ${results}`);
    }
    await mta.quit();
    mta.socket.destroy();
  }
  return ((server.cpuMs() - before) * 1000) / count;
}
