/** Real clamd, spamd and rspamd, and scanners that are down, slow, silent, or talk nonsense. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Answer, Patience } from '../../src/asking/answer.ts';
import { askClamd } from '../../src/scanners/clamd.ts';
import type { Content, ScannerAddress } from '../../src/scanners/conversation.ts';
import { askRspamd } from '../../src/scanners/rspamd.ts';
import { askSpamd } from '../../src/scanners/spamd.ts';
import { CLAMD, EICAR, type RealService, RSPAMD, SPAMD, startService } from '../helpers/real-service.ts';

const patience = (timeoutMs = 30_000, cancelled = new AbortController().signal): Patience => ({
  timeoutMs,
  cancelled,
});

function content(text: string | Buffer, piece = 64 * 1024): Content {
  const bytes = Buffer.from(text);
  return {
    size: bytes.length,
    async *pieces() {
      for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
    },
  };
}

const inet = (port: number): ScannerAddress => ({ kind: 'inet', host: '127.0.0.1', port });
const mail = (subject: string, body = 'hello\r\n') =>
  `From: <a@b.example>\r\nSubject: ${subject}\r\n\r\n${body}`;

function value<Value>(answer: Answer<Value>): Value {
  assert.equal(answer.kind, 'known', JSON.stringify(answer));
  if (answer.kind !== 'known') throw new Error();
  return answer.value;
}

function reason(answer: Answer<unknown>, expected: RegExp): void {
  assert.equal(answer.kind, 'unknown', JSON.stringify(answer));
  if (answer.kind === 'unknown') assert.match(answer.reason, expected);
}

describe('clamd', () => {
  let service: RealService;
  before(async () => {
    service = await startService(CLAMD);
  });
  after(() => service.stop());
  const ask = (text: string | Buffer, time?: Patience) =>
    askClamd(inet(service.port), content(text), time ?? patience());

  it('finds what its signatures name, plain, and in base64', async () => {
    assert.equal(value(await ask(mail('x'))), false);
    assert.equal(value(await ask(EICAR)), 'Eicar-Test.UNOFFICIAL');
    const encoded = Buffer.from(`${EICAR}\n`).toString('base64');
    const head = 'Content-Type: application/octet-stream; name=x.com\r\nContent-Transfer-Encoding: base64';
    const attached = mail(`x\r\nMIME-Version: 1.0\r\n${head}`, `${encoded}\r\n`);
    assert.equal(value(await ask(attached)), 'Eicar-Test.UNOFFICIAL');
    assert.equal(value(await ask('')), false);
  });

  it('over its unix socket', async () => {
    const address = { kind: 'unix', path: `${service.directory}/clamd.sock` } as const;
    assert.equal(value(await askClamd(address, content(EICAR, 7), patience())), 'Eicar-Test.UNOFFICIAL');
  });

  it('says that a message is too large for it', async () => {
    reason(
      await ask(Buffer.alloc(20 * 1024 * 1024)),
      /^limit clamd at inet:\d+@127\.0\.0\.1: INSTREAM size limit exceeded/,
    );
  });

  it('a hundred at a time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => ask(i % 2 === 0 ? EICAR : mail('x'))),
    );
    assert.deepEqual(
      answers.map((answer) => value(answer) !== false),
      answers.map((_, i) => i % 2 === 0),
    );
  });

  it('that is stopped is a time-out, and answers again when it goes on', async () => {
    service.signal('SIGSTOP');
    reason(await ask(EICAR, patience(500)), /^timeout clamd at .*: no answer in 0\.(5|4\d+) s$/);
    service.signal('SIGCONT');
    assert.equal(value(await ask(EICAR)), 'Eicar-Test.UNOFFICIAL');
  });
});

describe('spamd', () => {
  let service: RealService;
  before(async () => {
    service = await startService(SPAMD);
  });
  after(() => service.stop());

  it('gives its score and the names of the rules', async () => {
    const ask = (subject: string) =>
      askSpamd(inet(service.port), content(mail(subject)), undefined, patience(60_000));
    assert.deepEqual(value(await ask('smtpf-spam')), {
      spam: true,
      score: 6,
      required: 5,
      symbols: ['SMTPF_SPAM'],
    });
    assert.deepEqual(value(await ask('smtpf-ham')), {
      spam: false,
      score: -1,
      required: 5,
      symbols: ['SMTPF_HAM'],
    });
    assert.deepEqual(value(await ask('x')), { spam: false, score: 0, required: 5, symbols: [] });
  });

  it('takes a message of a megabyte, and a user', async () => {
    const large = mail('smtpf-spam', 'hello world\r\n'.repeat(80_000));
    const answer = await askSpamd(inet(service.port), content(large), 'nobody', patience(60_000));
    assert.equal(value(answer).spam, true);
  });
});

describe('rspamd', () => {
  let service: RealService;
  before(async () => {
    service = await startService(RSPAMD);
  });
  after(() => service.stop());
  const url = () => new URL(`http://127.0.0.1:${service.port}`);
  const envelope = {
    ip: '192.0.2.7',
    helo: 'mail.example',
    from: 'a@b.example',
    rcpt: ['c@d.example', 'e@f.example'],
    user: 'joe\r\nIP: 203.0.113.9',
    queueId: 'Q1',
  };

  it('gives action, score and symbols, with what it was told of the session', async () => {
    const ask = (subject: string) =>
      askRspamd({ url: url() }, undefined, content(mail(subject)), envelope, patience());
    const spam = value(await ask('smtpf-spam'));
    assert.deepEqual([spam.action, spam.score, spam.required], ['reject', 20, 15]);
    assert.deepEqual(spam.symbols.get('SMTPF_SPAM'), { score: 20, options: ['from 192.0.2.7'] });
    const head = value(await ask('smtpf-head'));
    assert.equal(head.action, 'add header');
    assert.deepEqual(JSON.stringify(head.milter).includes('X-Smtpf-Test'), true);
    assert.equal(value(await ask('x')).action, 'no action');
  });

  it('that says no to the request is unavailable', async () => {
    reason(
      await askRspamd({ url: new URL('/nothing', url()) }, undefined, content('x'), envelope, patience()),
      /^unavailable /,
    );
  });
});

describe('scanners that misbehave', () => {
  /** A server that does with each connection what it likes. */
  async function misbehaving(
    t: TestContext,
    serve: (socket: Socket) => void,
  ): Promise<ScannerAddress & { kind: 'inet' }> {
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      socket.on('error', () => {});
      serve(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const socket of open) socket.destroy();
      server.close();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    return { kind: 'inet', host: '127.0.0.1', port: address.port };
  }
  const large = content(Buffer.alloc(5_000_000, 'x'));
  const envelope = { rcpt: [] };
  type Ask = (address: ScannerAddress & { kind: 'inet' }, time: Patience) => Promise<Answer<unknown>>;
  const scanners: Readonly<Record<string, Ask>> = {
    clamd: (address, time) => askClamd(address, large, time),
    spamd: (address, time) => askSpamd(address, large, undefined, time),
    rspamd: (address, time) =>
      askRspamd({ url: new URL(`http://127.0.0.1:${address.port}`) }, undefined, large, envelope, time),
  };
  const nonsense = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 131) % 256));

  for (const [name, ask] of Object.entries(scanners)) {
    it(`${name}: nobody listens`, async (t) => {
      const { port } = await misbehaving(t, () => {});
      reason(await ask(inet(port === 1 ? 2 : 1) as never, patience()), /^unavailable .*ECONNREFUSED/);
    });
    it(`${name}: never reads`, async (t) => {
      const address = await misbehaving(t, (socket) => socket.pause());
      reason(await ask(address, patience(400)), /^timeout /);
    });
    it(`${name}: reads all and says nothing`, async (t) => {
      const address = await misbehaving(t, (socket) => socket.resume());
      reason(await ask(address, patience(400)), /^timeout /);
    });
    it(`${name}: closes in the middle`, async (t) => {
      const address = await misbehaving(t, (socket) => socket.once('data', () => socket.destroy()));
      reason(await ask(address, patience()), /^unavailable /);
    });
    it(`${name}: talks nonsense`, async (t) => {
      const address = await misbehaving(t, (socket) => socket.once('data', () => socket.end(nonsense)));
      reason(await ask(address, patience()), /^(?:protocol|unavailable) /);
    });
    if (name !== 'rspamd') {
      it(`${name}: calls clean what it has not read`, async (t) => {
        const clean =
          name === 'clamd'
            ? 'stream: OK\0'
            : 'SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\nSpam: False ; 0.0 / 5.0\r\n\r\n\r\n';
        const address = await misbehaving(t, (socket) => {
          socket.once('data', () => socket.write(clean));
        });
        reason(await ask(address, patience()), /^protocol .*before the end of the message$/);
      });
    }
    it(`${name}: a byte at a time, for ever`, async (t) => {
      const address = await misbehaving(t, (socket) => {
        socket.resume();
        const timer = setInterval(() => socket.write('x'), 50);
        socket.on('close', () => clearInterval(timer));
      });
      reason(await ask(address, patience(600)), /^(?:timeout|protocol|unavailable) /);
    });
    it(`${name}: an answer without end`, async (t) => {
      const address = await misbehaving(t, (socket) => {
        socket.resume();
        const flood = () => {
          while (socket.writable && socket.write(Buffer.alloc(65_536, 'a')));
        };
        socket.on('drain', flood);
        flood();
      });
      reason(await ask(address, patience(20_000)), /^(?:protocol|unavailable|limit) /);
    });
    it(`${name}: is given up`, async (t) => {
      const address = await misbehaving(t, (socket) => socket.resume());
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 50);
      reason(await ask(address, patience(30_000, controller.signal)), /^unavailable .*cancelled$/);
    });
  }
});
