/** `test --record`: answers of real servers, kept beside a test and given again when the servers are gone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { resolveOptions } from '../../src/options/options.ts';
import { type FileReport, runTestFile } from '../../src/policy-test/test-file.ts';
import { data, Responder } from '../dns/responder.ts';
import { CLAMD, EICAR, SPAMD, startService } from '../helpers/real-service.ts';
import { run as runProgram } from '../program/program.ts';
import { place } from './run-tests.ts';

interface Counted {
  readonly port: number;
  readonly asked: () => number;
  stop(): Promise<void>;
}

/** A server that answers each line with what `answer` says, after a greeting if it has one. */
async function lineServer(
  t: TestContext,
  answer: (line: string) => string,
  greeting = '',
  ending = '\r\n',
): Promise<Counted> {
  let asked = 0;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    if (greeting !== '') socket.write(greeting);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf(ending); end >= 0; end = text.indexOf(ending)) {
        asked += 1;
        socket.write(answer(text.slice(0, end)));
        text = text.slice(end + ending.length);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    for (const socket of open) socket.destroy();
    server.close();
  };
  t.after(stop);
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, asked: () => asked, stop };
}

/** What rspamd says in its own tests of ours; the password is not to be kept. */
const rspamdSays = JSON.stringify({
  action: 'reject',
  score: 20,
  required_score: 15,
  symbols: { SMTPF_SPAM: { name: 'SMTPF_SPAM', score: 20, options: ['from 192.0.2.7'] } },
  milter: { add_headers: { 'X-Spam': { value: 'yes', order: 0 } } },
});

async function webServer(t: TestContext, fixed?: string): Promise<Counted> {
  let asked = 0;
  const server = createHttpServer((request, response) => {
    asked += 1;
    request.resume();
    if (fixed !== undefined) return void response.end(fixed);
    response.setHeader('Set-Cookie', 'session=hidden-cookie');
    response.setHeader('X-Found', 'yes');
    response.end(request.url?.startsWith('/bytes') ? Buffer.from([0, 255, 1]) : `grün ${asked}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    server.closeAllConnections();
    server.close();
  };
  t.after(stop);
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, asked: () => asked, stop };
}

const failures = ({ cases, broken }: FileReport) => [
  ...(broken === undefined ? [] : [broken]),
  ...cases.flatMap(({ failure }) => (failure ? [failure.message] : [])),
];

test('all services are asked once, and not again', async (t) => {
  const [clamd, spamd] = await Promise.all([startService(CLAMD), startService(SPAMD)]);
  t.after(() => Promise.all([clamd.stop(), spamd.stop()]));
  const rspamd = await webServer(t, rspamdSays);
  const web = await webServer(t);
  const mail = await lineServer(
    t,
    (line) => (line.startsWith('RCPT') ? '550 5.1.1 nobody\r\n' : '250 ok\r\n'),
    '220 mx.example\r\n',
  );
  const users = await lineServer(t, (line) => (line.includes('joe') ? '6:OK yes,' : '9:NOTFOUND ,'), '', ',');
  const dns = await Responder.start(({ name }) => ({
    records: name === 'real.example' ? [['A', 60, data.a('192.0.2.77')]] : [],
  }));
  t.after(() => dns.close());
  const map = `socketmap:inet:127.0.0.1:${users.port}:users`;
  const directory = place(t, {
    'p.lua': `local users = map.open("${map}")
      function smtp.do_rcpt(rcpt)
        local ok, why = smtp.callahead("127.0.0.1", rcpt, { port = ${mail.port} })
        syslog.info("callahead " .. tostring(ok) .. " " .. tostring(why))
        syslog.info("map " .. tostring(users:get(rcpt)) .. " " .. tostring(users:get "nobody"))
        syslog.info("dns " .. table.concat(dns.a "real.example" or {}, " ") .. #dns.a "other.example")
        local found = must(http.get("http://127.0.0.1:${web.port}/look?ip=192.0.2.7&api_key=hidden-key", { headers = { Authorization = "hidden-header" } }))
        syslog.info("http " .. found.code .. found.body .. found.headers["x-found"] .. tostring(found.headers["set-cookie"] ~= nil))
        local bytes = must(http.post("http://127.0.0.1:${web.port}/bytes", "hidden-body"))
        syslog.info("bytes " .. #bytes.body .. bytes.body:byte(2))
      end
      function smtp.do_dot()
        syslog.info("clamd " .. tostring(scan.clamd()))
        local spam = must(scan.spamd())
        syslog.info("spamd " .. tostring(spam.spam) .. " " .. table.concat(spam.symbols, " "))
        local result = must(scan.rspamd { password = "hidden-password" })
        syslog.info("rspamd " .. result.action .. result.symbols.SMTPF_SPAM.score)
      end`,
    'p_test.lua': `local function mail(text)
        local s = test.session { helo = "x" }
        s:mail "a@b.example"
        s:rcpt "joe@c.example"
        test.accepted(s:message(text))
        return table.concat(s:log(), "; ")
      end
      local virus = "Subject: smtpf-spam\\n\\n" .. [[${EICAR}]]
      test.case("one", function()
        test.equal(mail(virus), "callahead false 550 5.1.1 nobody; map yes nil; dns 192.0.2.770; http 200gr\\xc3\\xbcn 1yestrue; bytes 3255; clamd Eicar-Test.UNOFFICIAL; spamd true SMTPF_SPAM; rspamd reject20")
      end)
      test.case("a clean one", function()
        test.rspamd { action = "reject", symbols = { SMTPF_SPAM = 1 } }
        test.match(mail "Subject: x\\n\\nhello\\n", "clamd false; spamd false ; rspamd reject1")
      end)`,
  });
  const file = join(directory, 'p_test.lua');
  const answers = join(directory, 'p_test.answers.jsonl');
  const options = resolveOptions(
    new Map([
      ['clamd', [`inet:${clamd.port}@127.0.0.1`]],
      ['spamd', [`inet:${spamd.port}@127.0.0.1`]],
      ['rspamd', [`inet:${rspamd.port}@127.0.0.1`]],
      ['http-allow', ['127.0.0.0/8']],
      ['dns-server', [`127.0.0.1:${dns.port}`]],
    ]),
    {},
  );

  // Nobody is asked without --record, wherever the servers are.
  assert.match(
    failures(await runTestFile(file, { options, coverage: false })).join(),
    /no network in a test/,
  );
  assert.equal(web.asked() + mail.asked() + users.asked() + dns.questions.length, 0);
  assert.ok(!existsSync(answers));

  const recorded = await runTestFile(file, { options, coverage: false, record: true });
  assert.deepEqual(failures(recorded), []);
  assert.deepEqual(recorded.recording, { path: answers, answers: 12, unanswered: [] });
  assert.equal(web.asked(), 2);
  const text = readFileSync(answers, 'utf8');
  assert.doesNotMatch(text, /hidden/);
  assert.match(text, /grün 1/);
  assert.match(text, /"Eicar-Test\.UNOFFICIAL"/);
  assert.match(text, /"symbols":\["SMTPF_SPAM"\]/);
  for (const line of text.trimEnd().split('\n')) {
    assert.deepEqual(Object.keys(JSON.parse(line)), ['service', 'question', 'answer']);
  }

  for (const server of [web, mail, users]) await server.stop();
  await Promise.all([clamd.stop(), spamd.stop(), rspamd.stop()]);
  const questions = dns.questions.length;
  // Without the options, and without the servers.
  const replayed = await runTestFile(file, { options: resolveOptions(new Map(), {}), coverage: false });
  // The cookie is a secret: it was given once, and is not in the file.
  assert.equal(dns.questions.length, questions);
  const [first = '', ...others] = failures(replayed);
  assert.deepEqual(others, []);
  assert.match(first, /yesfalse/);
});

test('a question that was not recorded is told with the command that records it', async (t) => {
  const web = await webServer(t);
  const policy = (path: string) =>
    `function smtp.do_mail() local r, why = http.get "http://127.0.0.1:${web.port}${path}" return 550, "5.7.1 " .. (r and r.body or why) end`;
  const check =
    'test.case("it", function() test.reply(test.session { helo = "x" }:mail "a@b.example", 550, "TEXT") end)';
  const directory = place(t, { 'p.lua': policy('/a'), 'p_test.lua': check.replace('TEXT', '.') });
  const file = join(directory, 'p_test.lua');
  const record = () => runProgram(['test', file, '--record', '--http-allow', '127.0.0.0/8']);
  const { code, stderr } = await record();
  assert.equal(code, 0);
  assert.match(stderr, /p_test\.answers\.jsonl: 1 recorded answer\n$/);
  assert.equal((await runProgram(['test', file])).code, 0);
  assert.equal(web.asked(), 1);

  writeFileSync(join(directory, 'p.lua'), policy('/b'));
  writeFileSync(file, check.replace('TEXT', 'nothing'));
  const missing = await runProgram(['test', file]);
  assert.equal(missing.code, 1);
  assert.match(
    missing.stdout,
    /unavailable not recorded: http GET http:\/\/127\.0\.0\.1:\d+\/b: run smtpf-milter test --record \S+p_test\.lua/,
  );

  // Who cannot be asked is told of, and not recorded.
  await web.stop();
  const failed = await record();
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /no answer to record: http GET \S+\/b: unavailable .*ECONNREFUSED/);

  writeFileSync(join(directory, 'p_test.answers.jsonl'), '{"service":1}\n');
  const broken = await runProgram(['test', file]);
  assert.equal(broken.code, 3);
  assert.match(broken.stdout, /p_test\.answers\.jsonl:1: no recorded answer: run smtpf-milter test --record/);
  const wrong = await runProgram(['test', file, '--record', '--watch']);
  assert.equal(wrong.code, 64);
  assert.equal(wrong.stderr, 'smtpf-milter: test: --record and --watch: each change would ask again\n');
});
