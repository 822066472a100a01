/** The module `scan` as a policy sees it: messages that arrive by milter, real scanners, and scanners that fail. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startServer, type TestServer } from '../../helpers/milter-server.ts';
import { Mta, type Reply } from '../../helpers/mta.ts';
import {
  CLAMD,
  EICAR,
  type RealService,
  RSPAMD,
  type ServicePlan,
  SPAMD,
  startService,
} from '../../helpers/real-service.ts';

/** A policy whose do_dot answers with what `chunk` returns, in one line. */
const telling = (chunk: string): string => `
  local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end
    return table.concat(t, " ") end
  local function scan_it() ${chunk} end
  function smtp.do_dot() return 550, "5.7.1 " .. all(scan_it()) end`;

/** A line that a policy has logged. */
const MADE = /^.*\bmade /;

const OK = 'return scan.clamd()';

async function policy(
  t: TestContext,
  chunk: string,
  options: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const server = await startServer({ source: telling(chunk) }, options);
  t.after(() => server.close());
  return server;
}

async function replyTo(
  server: TestServer,
  subject: string,
  body: string | Buffer = 'hello\r\n',
): Promise<Reply> {
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7', 'client.example');
  await mta.helo('helo.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  await mta.rcpt('<e@f.example>');
  await mta.data();
  const pieces = Array.from({ length: Math.ceil(body.length / 60_000) }, (_, i) =>
    body.slice(i * 60_000, (i + 1) * 60_000),
  );
  const headers = [
    ['From', ' <a@b.example>'],
    ['Subject', ` ${subject}`],
  ] as const;
  const reply = await mta.content(headers, ...pieces);
  await mta.quit();
  return reply;
}

async function told(server: TestServer, subject = 'x', body: string | Buffer = 'hello\r\n'): Promise<string> {
  const { text } = await replyTo(server, subject, body);
  return text.replace(/^550 5\.7\.1 /, '').trim();
}

/** A server that does with each connection what it likes, until `serve` is changed. */
class Misbehaving {
  serve: (socket: Socket) => void = () => {};
  connections = 0;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.connections += 1;
      this.#open.add(socket);
      socket.on('error', () => {});
      this.serve(socket);
    });
  }

  static async listen(t: TestContext): Promise<Misbehaving> {
    const server = createServer({ allowHalfOpen: true });
    const self = new Misbehaving(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const socket of self.#open) socket.destroy();
      server.close();
    });
    return self;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
}

/** The same server again, on the port that it had. */
async function again(plan: ServicePlan, port: number): Promise<RealService> {
  return startService(plan, port);
}

describe('scan.clamd', () => {
  let service: RealService;
  before(async () => {
    service = await startService(CLAMD);
  });
  after(() => service.stop());

  it('finds what its signatures name in a message that do_dot takes no file of', async (t) => {
    const server = await policy(t, OK, { clamd: `inet:${service.port}@127.0.0.1` });
    assert.equal(await told(server), 'false');
    assert.equal(await told(server, 'x', `${EICAR}\r\n`), 'Eicar-Test.UNOFFICIAL');
    // Larger than what of a message is kept in memory.
    assert.equal(await told(server, 'x', `${'a'.repeat(400_000)}\r\n${EICAR}\r\n`), 'Eicar-Test.UNOFFICIAL');
    // Headers are scanned too.
    assert.equal(await told(server, 'SMTPF-VIRUS-TEST'), 'Smtpf.Test.UNOFFICIAL');
  });

  it('asks the server that the call names, also over a unix socket, and from a job', async (t) => {
    const path = `unix:${service.directory}/clamd.sock`;
    const server = await policy(
      t,
      `local one = job.start(scan.clamd, { server = "${path}" })
       local two = job.start(scan.clamd, { server = "inet:127.0.0.1:${service.port}" })
       return one:wait(), two:wait(), scan.clamd()`,
    );
    assert.equal(
      await told(server, 'x', `${EICAR}\r\n`),
      'Eicar-Test.UNOFFICIAL Eicar-Test.UNOFFICIAL nil unavailable no --clamd',
    );
  });

  it('sends no part of a message that is too large, and says what clamd finds too large', async (t) => {
    const clamd = { clamd: `inet:${service.port}@127.0.0.1` };
    const small = await policy(t, 'return scan.clamd { max = 100 }', clamd);
    assert.match(
      await told(small, 'x', 'a'.repeat(200)),
      /^nil limit message of \d+ bytes, at most 100 are sent$/,
    );
    const server = await policy(t, OK, clamd);
    assert.match(
      await told(server, 'x', Buffer.alloc(4_000_000, 'a')),
      /^nil limit .*INSTREAM size limit exceeded/,
    );
    assert.equal(await told(server), 'false');
  });

  it('is asked from functions of files that a main chunk or a callback loads', async (t) => {
    const server = await startServer(
      {
        source: `package.path = [[/nonexistent/?.lua]]
          function smtp.do_dot() return 550, "5.7.1 " .. tostring(load("return scan.clamd()")()) end`,
      },
      { clamd: `inet:${service.port}@127.0.0.1` },
    );
    t.after(() => server.close());
    assert.equal(await told(server, 'x', `${EICAR}\r\n`), 'Eicar-Test.UNOFFICIAL');
  });

  it('raises an error for wrong arguments, and outside of do_dot', async (t) => {
    const server = await policy(
      t,
      `local errors = {}
       for _, opts in ipairs { { wrong = 1 }, { server = "nonsense" }, { max = 0 }, { timeout = 0 } } do
         errors[#errors + 1] = select(2, pcall(scan.clamd, opts)):gsub("^.*%((.*)%)$", "%1")
       end
       return table.concat(errors, "; ")`,
    );
    assert.equal(
      await told(server),
      'options are server, timeout, max; ' +
        'option server: must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH or local:/PATH; ' +
        'option max: a whole number from 1 to 1073741824 expected; ' +
        'option timeout: seconds expected, more than 0 and at most 86400',
    );
    const early = await startServer({
      source: 'function smtp.do_rcpt() return 550, "5.7.1 " .. select(2, pcall(scan.clamd)) end',
    });
    t.after(() => early.close());
    const mta = await Mta.open(early);
    await mta.connect('192.0.2.7');
    await mta.mail('<a@b.example>');
    assert.match((await mta.rcpt('<c@d.example>')).text, /no message: only smtp\.do_dot has one to scan$/);
    await mta.quit();
  });
});

describe('scan.spamd', () => {
  let service: RealService;
  before(async () => {
    service = await startService(SPAMD);
  });
  after(() => service.stop());

  it('gives score and rules', async (t) => {
    const server = await policy(
      t,
      'local r = must(scan.spamd { user = "nobody" }) return r.spam, r.score, r.required, #r.symbols, r.symbols[1]',
      { spamd: `inet:${service.port}@127.0.0.1` },
    );
    assert.equal(await told(server, 'smtpf-spam'), 'true 6 5 1 SMTPF_SPAM');
    assert.equal(await told(server, 'x'), 'false 0 5 0 nil');
  });

  it('does not send more than 512 KiB unless it is told to', async (t) => {
    const large = 'hello world\r\n'.repeat(45_000);
    const spamd = { spamd: `inet:${service.port}@127.0.0.1` };
    const server = await policy(t, 'return scan.spamd()', spamd);
    assert.match(await told(server, 'smtpf-spam', large), /^nil limit .*at most 524288 are sent$/);
    const more = await policy(t, 'return must(scan.spamd { max = 1e6 }).spam', spamd);
    assert.equal(await told(more, 'smtpf-spam', large), 'true');
  });
});

describe('scan.rspamd', () => {
  let service: RealService;
  before(async () => {
    service = await startService(RSPAMD);
  });
  after(() => service.stop());

  it('gives action, score and rules, with what it was told of the session', async (t) => {
    const server = await policy(
      t,
      `local r = must(scan.rspamd()) local s = r.symbols.SMTPF_SPAM
       return r.action, r.score, r.required, s and s.score, s and s.options[1]`,
      { rspamd: `http://127.0.0.1:${service.port}` },
    );
    assert.equal(await told(server, 'smtpf-spam'), 'reject 20 15 20 from 192.0.2.7');
    assert.equal(await told(server, 'x'), 'no action 0 15 nil nil');
  });

  it('has its changes to headers made by apply', async (t) => {
    const server = await startServer(
      {
        source: `function smtp.do_dot()
          local result = must(scan.rspamd())
          syslog.info("made " .. tostring(result:apply()))
        end`,
      },
      { rspamd: `inet:${service.port}@127.0.0.1` },
    );
    t.after(() => server.close());
    const changes = ({ modifications }: Reply) =>
      modifications.map(({ letter, payload }) => letter + payload.toString('latin1').replaceAll('\0', '|'));
    // SMFIR_ADDHEADER: name, value.
    assert.deepEqual(changes(await replyTo(server, 'smtpf-head')), ['hX-Smtpf-Test| yes|', 'hX-Spam| Yes|']);
    assert.deepEqual(changes(await replyTo(server, 'x')), []);
    assert.deepEqual(
      (await server.log.until(MADE, 2)).map((line) => line.replace(MADE, 'made ')),
      ['made true', 'made false'],
    );
  });
});

describe('result:apply', () => {
  /** Asks a server that answers with this. */
  async function applied(t: TestContext, result: object, actions = 'all'): Promise<string[]> {
    const rspamd = await Misbehaving.listen(t);
    const body = JSON.stringify({ action: 'no action', score: 1, required_score: 15, ...result });
    rspamd.serve = (socket) => {
      socket.once('data', () => {
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      });
    };
    const server = await startServer(
      {
        source: `function smtp.do_dot()
          local made, err = must(scan.rspamd()):apply()
          syslog.info("made " .. tostring(made) .. " " .. tostring(err))
        end`,
      },
      { rspamd: `inet:${rspamd.port}@127.0.0.1`, actions },
    );
    t.after(() => server.close());
    const { modifications } = await replyTo(server, 'old');
    const lines = (await server.log.until(MADE)).map((line) => line.replace(MADE, 'made '));
    return [...lines, ...modifications.map(({ letter, payload }) => letter + shown(letter, payload))];
  }
  /** An index of four bytes stands before name and value of changed (m) and inserted (i) headers. */
  const shown = (letter: string, payload: Buffer) => {
    const text = (from: number) => payload.toString('latin1', from).replaceAll('\0', '|');
    return letter === 'h' ? text(0) : `${payload.readUInt32BE(0)} ${text(4)}`;
  };

  it('adds, inserts and removes, in each of the ways that rspamd writes it', async (t) => {
    const milter = {
      remove_headers: { From: 1, 'X-Nothing': 0 },
      add_headers: {
        'X-One': 'a',
        'X-Two': { value: 'b', order: 0 },
        'X-Three': ['c', { value: 'd', order: 1 }],
        'X-Folded': 'e;\r\n\tf',
        'X-Word': 'Gr\u00fc\u00dfe',
      },
    };
    assert.deepEqual(await applied(t, { milter, 'dkim-signature': 'v=1; b=\r\n\tabc' }), [
      'made true nil',
      'm1 From||',
      'i0 X-Two| b|',
      'i1 X-Three| d|',
      'i1 DKIM-Signature| v=1; b=\n\tabc|',
      'hX-One| a|',
      'hX-Three| c|',
      'hX-Folded| e;\n\tf|',
      'hX-Word| =?utf-8?Q?Gr=C3=BC=C3=9Fe?=|',
    ]);
  });

  it('marks spam and its Subject only with the action for that', async (t) => {
    const milter = { spam_header: 'Very' };
    assert.deepEqual(await applied(t, { milter }), ['made false nil']);
    assert.deepEqual(await applied(t, { milter, action: 'add header' }), ['made true nil', 'hX-Spam| Very|']);
    assert.deepEqual(await applied(t, { subject: 'new', action: 'rewrite subject' }), [
      'made true nil',
      'm1 Subject| new|',
    ]);
  });

  it('changes nothing where one of them is no header, or the MTA has not agreed', async (t) => {
    const bad = { milter: { add_headers: { 'X-Good': 'a', 'X Bad': 'b' } } };
    assert.match(
      (await applied(t, bad)).join(),
      /^made nil protocol header name with a blank, a colon or a byte outside 33 to 126$/,
    );
    const forged = { milter: { add_headers: { 'X-Good': 'a\nBcc: x@y.example' } } };
    assert.match((await applied(t, forged)).join(), /^made nil protocol X-Good: line end in a header[^,]*$/);
    const good = { milter: { add_headers: { 'X-Good': 'a' } } };
    assert.match((await applied(t, good, 'none')).join(), /^made nil refused: [^,]*$/);
  });
});

describe('a scanner that fails', () => {
  const CALLS = { clamd: 'return scan.clamd', spamd: 'return scan.spamd', rspamd: 'return scan.rspamd' };

  for (const [name, call] of Object.entries(CALLS)) {
    it(`${name}: nobody listens, then it comes, goes, and comes back while mail arrives`, async (t) => {
      const plan = { clamd: CLAMD, spamd: SPAMD, rspamd: RSPAMD }[name as keyof typeof CALLS];
      const first = await startService(plan);
      const { port } = first;
      t.after(() => first.stop());
      const chunk = `local r, err = ${call.replace('return ', '')} { timeout = 20 }
        return err and err:match("^%a+") or "known"`;
      const server = await policy(t, chunk, { [name]: `inet:${port}@127.0.0.1` });
      assert.equal(await told(server), 'known');
      await first.stop();
      // Five failures in a row: from then on nobody waits, and the log has one line.
      const answers: string[] = [];
      for (let i = 0; i < 8; i++) answers.push(await told(server));
      assert.deepEqual(answers, new Array(8).fill('unavailable'));
      const subject =
        name === 'rspamd' ? `rspamd at http://127.0.0.1:${port}` : `${name} at inet:${port}@127.0.0.1`;
      const about = () => server.log.lines.filter((line) => line.startsWith(subject));
      assert.equal(about().length, 1, about().join('\n'));
      assert.match(about()[0] ?? '', /does not answer: unavailable .*ECONNREFUSED/);
      const second = await again(plan, port);
      t.after(() => second.stop());
      while ((await told(server)) !== 'known') await delay(500);
      assert.equal(about().length, 2);
      assert.equal(about()[1], `${subject} answers again`);
    });

    it(`${name}: silence is a time-out, and no other session waits`, async (t) => {
      const hanging = await Misbehaving.listen(t);
      hanging.serve = (socket) => socket.resume();
      const server = await policy(
        t,
        `if header.get("Subject") == "other" then return "at once" end
         return select(2, ${call.replace('return ', '')} { timeout = 0.5 })`,
        { [name]: `inet:${hanging.port}@127.0.0.1` },
      );
      const waiting = told(server);
      assert.equal(await told(server, 'other'), 'at once');
      assert.match(await waiting, /^timeout .*: no answer in 0\.(5|4\d+) s$/);
      // Nobody waits for it any more.
      assert.match(await told(server), /^unavailable .* does not answer, next try in/);
      assert.equal(hanging.connections, 1);
    });

    it(`${name}: nonsense, and a connection that is closed in the middle`, async (t) => {
      const odd = await Misbehaving.listen(t);
      const server = await policy(t, `return (select(2, ${call.replace('return ', '')}()):match("^%a+"))`, {
        [name]: `inet:${odd.port}@127.0.0.1`,
      });
      odd.serve = (socket) => socket.once('data', () => socket.end('\xff\x00nonsense\r\n\r\n', 'latin1'));
      assert.match(await told(server, 'x', 'a'.repeat(500_000)), /^(?:protocol|unavailable)$/);
      odd.serve = (socket) => socket.once('data', () => socket.destroy());
      assert.equal(await told(server, 'x', 'a'.repeat(500_000)), 'unavailable');
    });
  }

  it('has at most twenty messages at a time', async (t) => {
    const slow = await Misbehaving.listen(t);
    let open = 0;
    let most = 0;
    let release = () => {};
    const full = new Promise<void>((resolve) => {
      slow.serve = (socket) => {
        open += 1;
        most = Math.max(most, open);
        if (open === 20) resolve();
        const whole = new Promise<void>((resolve) => {
          socket.on('data', (bytes) => {
            if (bytes.subarray(-4).equals(Buffer.alloc(4))) resolve();
          });
        });
        void Promise.all([released, whole]).then(() => {
          open -= 1;
          socket.end('stream: OK\0');
        });
      };
    });
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await policy(
      t,
      `local jobs, clean = {}, 0
       for i = 1, 50 do jobs[i] = job.start(scan.clamd, { timeout = 60 }) end
       for i = 1, 50 do if jobs[i]:wait() == false then clean = clean + 1 end end
       return clean`,
      { clamd: `inet:${slow.port}@127.0.0.1` },
    );
    const answer = told(server);
    await full;
    release();
    assert.equal(await answer, '50');
    assert.equal(most, 20);
  });
});
