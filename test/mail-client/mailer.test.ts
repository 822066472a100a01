/** Mail handed to a smarthost that says each thing at each step. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Answer } from '../../src/asking/answer.ts';
import {
  type MailerSettings,
  marksIn,
  type OutgoingMail,
  type Sent,
  SmarthostMailer,
} from '../../src/mail-client/mailer.ts';
import { parseSmarthost } from '../../src/mail-client/smarthost-place.ts';
import { MemoryStore } from '../../src/modules/kv/fake.ts';
import { SYSTEM_CLOCK } from '../../src/services/clock.ts';
import { makeCertificate, makeServerDirectory, removeServerDirectory } from '../mta/mail-server.ts';
import { KIND, type Says, ScriptedMailServer } from './scripted-mail-server.ts';

const LONG = { timeoutMs: 60_000, cancelled: new AbortController().signal };
const MESSAGE = 'From: a@b.example\r\nSubject: x\r\n\r\ntext\r\n';

function sender(
  { port }: { readonly port: number },
  some: Partial<MailerSettings> = {},
  store = new MemoryStore(SYSTEM_CLOCK),
) {
  const log: string[] = [];
  const mailer = new SmarthostMailer(
    {
      smarthost: { host: '127.0.0.1', port },
      smarthostTls: 'may',
      sendPerHour: 100,
      ownAddress: [],
      ...some,
    },
    store,
    ({ isOpen }) => log.push(isOpen ? 'gone' : 'back'),
  );
  const send = (mail: Partial<OutgoingMail> = {}, patience = LONG): Promise<Answer<Sent>> =>
    mailer.send(
      { from: '', to: ['joe@d.example'], message: Buffer.from(MESSAGE), marks: [], ...mail },
      patience,
    );
  return { send, log };
}

/** `true 250 ...`, `false 550 ...` or the reason. */
function told(answer: Answer<Sent>): string {
  if (answer.kind === 'unknown') return answer.reason;
  return `${answer.value.kind === 'sent'} ${answer.value.reply}`;
}

/** A message as it came, its mark taken off. */
function unmarked(message: Buffer | undefined): string {
  const text = message?.toString('latin1') ?? '';
  assert.match(text, /^X-Loop: smtpf-milter-[0-9a-f]{32}\r\n/);
  return text.slice(text.indexOf('\n') + 1);
}

describe('a smarthost', () => {
  it('takes a message; it hears sender, recipients, and the bytes with CRLF and dots', async (t) => {
    const server = await ScriptedMailServer.start(t, {
      EHLO: '250-mx.example\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE 1000000',
    });
    const { send } = sender(server);
    const message = Buffer.from(
      'Subject: \xe4\n folded\n\n.\n..two\r\nbare\rCR\x00\xff\r\n.\r\nno end',
      'latin1',
    );
    const answer = await send({ from: 'a@b.example', to: ['joe@d.example', 'jane@d.example'], message });
    assert.equal(told(answer), 'true 250 2.0.0 queued as 1234');
    assert.equal(
      unmarked(server.messages[0]),
      'Subject: \xe4\r\n folded\r\n\r\n..\r\n...two\r\nbare\r\nCR\x00\xff\r\n..\r\nno end\r\n',
    );
    const [, mail, ...rcpts] = server.heard;
    assert.equal(server.heard[0], `EHLO ${hostname()}`);
    assert.match(
      mail ?? '',
      /^MAIL FROM:<a@b\.example> BODY=8BITMIME SIZE=\d+ ENVID=smtpf-milter-[0-9a-f]{32}$/,
    );
    assert.deepEqual(rcpts.slice(0, 3), ['RCPT TO:<joe@d.example>', 'RCPT TO:<jane@d.example>', 'DATA']);
    const mark = /smtpf-milter-\w+/.exec(mail ?? '')?.[0];
    assert.ok(mark !== undefined && server.messages[0]?.includes(mark));
  });

  it('takes the null sender, UTF-8 in addresses, and an old server’s HELO', async (t) => {
    const server = await ScriptedMailServer.start(t, { EHLO: '250-mx.example\r\n250 SMTPUTF8' });
    const jörg = Buffer.from('jörg@d.example').toString('latin1');
    assert.match(told(await sender(server).send({ to: [jörg] })), /^true/);
    assert.deepEqual(server.heard.slice(1, 3), ['MAIL FROM:<> SMTPUTF8', `RCPT TO:<${jörg}>`]);
    const old = await ScriptedMailServer.start(t, { EHLO: '502 what', HELO: '250 mx.example' });
    assert.match(told(await sender(old).send()), /^true/);
    assert.equal(old.heard[2], 'MAIL FROM:<>');
  });

  it('may refuse: firm from MAIL on, else it is not known', async (t) => {
    const no: Readonly<Record<string, [Says, string]>> = {
      MAIL: [{ MAIL: '553 5.1.8 no' }, 'false 553 5.1.8 no'],
      RCPT: [{ RCPT: '550-5.1.1 no\r\n550 5.1.1 such user' }, 'false 550 5.1.1 no\n5.1.1 such user'],
      DATA: [{ DATA: '554 5.7.1 no' }, 'false 554 5.7.1 no'],
      end: [{ end: '552 5.3.4 \x07too large' }, 'false 552 5.3.4 ?too large'],
    };
    for (const [name, [says, expected]] of Object.entries(no)) {
      const server = await ScriptedMailServer.start(t, says);
      assert.equal(told(await sender(server).send()), expected, name);
    }
    const unsure: Readonly<Record<string, [Says, RegExp]>> = {
      'no at the greeting': [{ greeting: '554 no' }, /^refused .*greeting: 554 no$/],
      'no at HELO': [{ EHLO: '550 no', HELO: '550 no' }, /^refused .*HELO: 550 no$/],
      'later at MAIL': [{ MAIL: '451 4.7.1 later' }, /^refused .*MAIL: 451 4\.7\.1 later$/],
      'later at RCPT': [{ RCPT: '450 4.2.0 later' }, /^refused .*RCPT: 450/],
      'later at the end': [{ end: '452 4.3.1 full' }, /^refused .*DATA: 452 4\.3\.1 full$/],
      closing: [{ MAIL: '421 4.3.2 bye' }, /^refused .*MAIL: 421/],
      'closes after DATA': [{ end: (socket) => socket.destroy() }, /^unavailable /],
      nonsense: [{ RCPT: 'ceci' }, /^protocol /],
      'nonsense as a greeting': [{ greeting: 'ceci' }, /^protocol /],
      'a code that is none': [{ RCPT: '999 what' }, /^protocol /],
      'a size': [{ EHLO: '250-mx.example\r\n250 SIZE 20' }, /^limit .*larger than allowed 20/],
      'a line without end': [{ MAIL: (socket) => socket.write('2'.repeat(100_000)) }, /^protocol /],
    };
    for (const [name, [says, expected]] of Object.entries(unsure)) {
      const server = await ScriptedMailServer.start(t, says);
      assert.match(told(await sender(server).send()), expected, name);
    }
  });

  it('that takes some recipients says which it refuses; one that may take all later, no more than that', async (t) => {
    const RCPT = (socket: { write(text: string): unknown }, line: string) =>
      socket.write(
        line.includes('<joe@') ? '250 ok\r\n' : line.includes('<busy@') ? '450 busy\r\n' : '550 no\r\n',
      );
    for (const EHLO of ['250 mx.example', '250-mx.example\r\n250 PIPELINING']) {
      const server = await ScriptedMailServer.start(t, { RCPT, EHLO, DATA: '354 go on' });
      const answer = await sender(server).send({ to: ['joe@d.example', 'x@d.example', 'busy@d.example'] });
      assert.equal(told(answer), 'true 250 2.0.0 queued as 1234');
      assert.ok(answer.kind === 'known' && answer.value.kind === 'sent');
      assert.deepEqual(
        [...answer.value.refused],
        [
          ['x@d.example', '550 no'],
          ['busy@d.example', '450 busy'],
        ],
      );
      assert.match(
        told(await sender(server).send({ to: ['x@d.example', 'busy@d.example'] })),
        /^refused .*RCPT: 450 busy$/,
      );
    }
  });

  it('that says nothing is a time-out, and is left alone for a while', async (t) => {
    const server = await ScriptedMailServer.start(t, { MAIL: () => {} });
    const { send, log } = sender(server);
    assert.match(told(await send({}, { ...LONG, timeoutMs: 300 })), /^timeout .*no answer in 0\.(3|2\d+) s$/);
    assert.deepEqual(log, ['gone']);
    assert.match(told(await send()), /^unavailable .*does not answer/);
    // Where this process was held up, the server has yet to take it.
    while (server.connections === 0) await turn();
    assert.equal(server.connections, 1);
    assert.match(told(await sender({ port: 1 }).send()), /^unavailable .*ECONNREFUSED/);
  });

  it('is not asked about addresses that cannot be said, and no breaker opens for them', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const { send, log } = sender(server);
    for (let i = 0; i < 6; i++) {
      assert.match(told(await send({ to: ['"a>b"@d.example'] })), /^refused .*address with < or >/);
      assert.match(told(await send({ from: '"a<b"@d.example' })), /^refused .*address with < or >/);
    }
    assert.deepEqual([log, server.connections], [[], 0]);
    assert.match(told(await send({ to: ['"a b"@d.example'] })), /^true/);
    assert.equal(server.heard[2], 'RCPT TO:<"a b"@d.example>');
  });

  it('is left when the session is', async (t) => {
    const server = await ScriptedMailServer.start(t, { MAIL: () => {} });
    const over = new AbortController();
    const sending = sender(server).send({}, { timeoutMs: 60_000, cancelled: over.signal });
    while (server.heard.length < 2) await turn();
    over.abort();
    assert.match(told(await sending), /^unavailable .*cancelled$/);
  });

  it('is never this server, and need not be named', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const ownAddress = [
      { address: '127.0.0.0', bits: 8 },
      { address: '::1', bits: 128 },
    ];
    assert.match(told(await sender(server, { ownAddress }).send()), /^refused the smarthost is this server/);
    const smarthost = { host: 'localhost', port: server.port };
    assert.match(
      told(await sender(server, { ownAddress, smarthost }).send()),
      /^refused .*that is this server$/,
    );
    const listening = () => [{ address: '127.0.0.1', port: server.port }];
    assert.match(
      told(await sender(server, { listening }).send()),
      /^refused the smarthost is this server: .* where it listens$/,
    );
    assert.match(told(await sender(server, { smarthost }).send()), /^true/);
    assert.equal(told(await sender(server, { smarthost: undefined }).send()), 'unavailable no --smarthost');
    const large = Buffer.alloc(25 * 1024 * 1024 + 1);
    assert.match(told(await sender(server).send({ message: large })), /^limit message of 26214401 bytes/);
  });
});

describe('mail of a policy', () => {
  it('is counted by recipients, over all who share the store', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const store = new MemoryStore(SYSTEM_CLOCK);
    const some = { sendPerHour: 3 };
    assert.match(
      told(await sender(server, some, store).send({ to: ['a@d.example', 'b@d.example'] })),
      /^true/,
    );
    assert.match(told(await sender(server, some, store).send()), /^true/);
    assert.match(
      told(await sender(server, some, store).send()),
      /^limit --send-per-hour 3: the next in 1[12]\d\d s$/,
    );
    assert.equal(
      told(await sender(server, some).send({ to: ['a', 'b', 'c', 'd'] })),
      'limit 4 recipients, --send-per-hour 3',
    );
    assert.equal(server.connections, 2);
  });

  it('is counted without a store too, and a limit says nothing of the server', async (t) => {
    const server = await ScriptedMailServer.start(t, { MAIL: () => {} });
    const store = new MemoryStore(SYSTEM_CLOCK);
    store.failure = 'unavailable';
    const { send, log } = sender(server, { sendPerHour: 2 }, store);
    assert.match(told(await send({}, { ...LONG, timeoutMs: 200 })), /^timeout/);
    assert.match(told(await send()), /^unavailable/);
    const other = sender(server, { sendPerHour: 1 }, store);
    server.says = KIND;
    assert.match(told(await other.send()), /^true/);
    assert.match(told(await other.send()), /^limit/);
    assert.deepEqual([log, other.log], [['gone'], []]);
  });

  it('is not sent because of mail that was sent here', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const store = new MemoryStore(SYSTEM_CLOCK);
    const { send } = sender(server, {}, store);
    assert.match(told(await send()), /^true/);
    const [header] = (server.messages[0]?.toString('latin1') ?? '').split('\r\n');
    const marks = marksIn([header ?? '']);
    assert.equal(marks.length, 1);
    assert.match(told(await sender(server, {}, store).send({ marks })), /^refused .*mail loop$/);
    // One that somebody has thought of stops nothing.
    const forged = marksIn([`smtpf-milter-${'0'.repeat(32)}, smtpf-milter, x`]);
    assert.match(told(await send({ marks: forged })), /^true/);
    store.failure = 'timeout';
    assert.match(told(await send({ marks: forged })), /^refused .*mail loop$/);
  });

  it('of a large message holds up nobody', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const line = Buffer.from(`.${'x'.repeat(70)}\n`);
    const message = Buffer.concat([Buffer.from('Subject: x\n\n'), Buffer.alloc(72 * 20_000, line)]);
    let turns = 0;
    let over = false;
    const others = (async () => {
      for (; !over; turns++) await turn();
    })();
    assert.match(told(await sender(server).send({ message })), /^true/);
    over = true;
    await others;
    assert.ok(turns >= message.length / (64 * 1024), String(turns));
    assert.equal(unmarked(server.messages[0]).length, 14 + 74 * 20_000);
  });
});

describe('TLS', () => {
  const certified = (t: TestContext) => {
    const directory = makeServerDirectory('postfix');
    t.after(() => removeServerDirectory(directory));
    const { certificate, key } = makeCertificate(directory);
    return { cert: readFileSync(certificate), key: readFileSync(key) };
  };
  const OFFERED = { EHLO: '250-mx.example\r\n250 STARTTLS', STAR: '220 go on' };

  it('is spoken where it is offered, whoever has signed, and mail goes without it where not', async (t) => {
    const server = await ScriptedMailServer.start(t, OFFERED, certified(t));
    assert.match(told(await sender(server).send()), /^true/);
    assert.deepEqual(
      server.heard.slice(0, 4).map((line) => line.slice(0, 4)),
      ['EHLO', 'STAR', 'EHLO', 'MAIL'],
    );
    const plain = await ScriptedMailServer.start(t, { ...OFFERED, STAR: '454 4.7.0 not now' });
    assert.match(told(await sender(plain).send()), /^true/);
    assert.match(told(await sender(server, { smarthostTls: 'none' }).send()), /^true/);
    assert.equal(server.heard.filter((line) => line === 'STARTTLS').length, 1);
  });

  it('is a must with verify, and its certificate too', async (t) => {
    const server = await ScriptedMailServer.start(t, OFFERED, certified(t));
    const verify = { smarthostTls: 'verify' } as const;
    assert.match(told(await sender(server, verify).send()), /^unavailable .*self-signed certificate/);
    const plain = await ScriptedMailServer.start(t);
    assert.match(told(await sender(plain, verify).send()), /^refused .*STARTTLS: 500 what$/);
    for (const { heard } of [server, plain]) assert.ok(!heard.some((line) => line.startsWith('MAIL')));
  });
});

describe('--smarthost', () => {
  it('is a host, with or without a port', () => {
    assert.deepEqual(parseSmarthost('mail.example.com'), { host: 'mail.example.com', port: 25 });
    assert.deepEqual(parseSmarthost('192.0.2.1:587'), { host: '192.0.2.1', port: 587 });
    assert.deepEqual(parseSmarthost('[::1]:2525'), { host: '::1', port: 2525 });
    assert.deepEqual(parseSmarthost('::1'), { host: '::1', port: 25 });
    for (const text of ['', 'a b', 'a:0', 'a:65536', '[a]:25', 'a:465', 'smtp://a', 'a\r\nb', ':25'])
      assert.throws(() => parseSmarthost(text), { name: 'BadValue' }, text);
  });
});
