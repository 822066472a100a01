/** `--metrics` and `--events` of a running server with workers, asked as Prometheus asks. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Milter, mailReply, startMilter, statusOf, until } from './milter-client.ts';
import { directory } from './program.ts';

const WORKERS = ['--workers', '2', '--on-error', 'tempfail', '--cpu-ms', '100'];

/** What it does follows from the sender. */
const POLICY = `
function smtp.do_mail(sender)
  metric.count("mails", { domain = sender:match("@([^>]*)") })
  metric.time("look", 0.02)
  metric.set("worker_seen", 1, { worker = smtp.sess.id:match("%-(%d+)%.") })
  log.event("mail", { sender = sender })
  if sender:find("reject") then return 550, "5.7.1 no" end
  if sender:find("fails") then error("oops") end
  if sender:find("busy") then while true do end end
  if sender:find("dns") then dns.a("x.example") dns.txt("y.example") end
  if sender:find("store") then kv.incr("n", 1, nil, 10) end
end`;

const promtool = spawnSync('promtool', ['--version']).status === 0;
const withPromtool =
  promtool || process.env['CI'] !== undefined ? {} : { skip: 'promtool is missing (Debian: prometheus)' };

interface Answer {
  readonly code: number;
  readonly type: string | null;
  readonly text: string;
}

async function portOf({ running }: Milter): Promise<number> {
  return Number((await running.until('stderr', /metrics at inet:(\d+)@/))[1]);
}

async function get(port: number, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { code: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** Values by name and labels, as printed. */
function valuesIn(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, name = '', value] = /^(.*) (\S+)$/.exec(line) ?? [];
      return [name, Number(value)];
    }),
  );
}

/** Asks again and again, until the values are as they should be. */
async function figures(
  port: number,
  holds: (value: (name: string) => number, text: string) => boolean,
): Promise<{ text: string; value: (name: string) => number }> {
  for (;;) {
    const { text } = await get(port, '/metrics');
    const values = valuesIn(text);
    const value = (name: string) => values.get(name) ?? 0;
    if (holds(value, text)) return { text, value };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** @param t the server is killed after it */
async function server(
  t: TestContext,
  args: readonly string[] = [],
): Promise<{ milter: Milter; port: number }> {
  // Nobody answers at this address.
  const dns = ['--dns-server', '127.0.0.1:9', '--dns-timeout', '0.2'];
  const milter = await startMilter(t, POLICY, [...WORKERS, ...dns, '--metrics', 'inet:0@127.0.0.1', ...args]);
  return { milter, port: await portOf(milter) };
}

describe('--metrics', () => {
  test('tells what all workers have done, of the server and of the policy', withPromtool, async (t) => {
    const { milter, port } = await server(t);
    for (const name of ['ok', 'ok', 'reject', 'fails', 'busy', 'dns', 'store']) {
      await mailReply(milter, `<${name}@a.example>`);
    }
    let [sessions, found] = [7, await figures(port, () => true)];
    // Until both workers have had some: on a busy machine one may be held for a while.
    do {
      for (let i = 0; i < 6; i++) await mailReply(milter, '<more@b.example>');
      sessions += 6;
      found = await figures(
        port,
        (of) => of('smtpf_policy_mails_total{domain="b.example"}') === sessions - 7,
      );
    } while (![1, 2].every((worker) => found.value(`smtpf_policy_worker_seen{worker="${worker}"}`) === 1));
    const { text, value } = found;
    const expected: Readonly<Record<string, number>> = {
      smtpf_sessions_total: sessions,
      smtpf_sessions: 0,
      'smtpf_policy_mails_total{domain="a.example"}': 7,
      smtpf_policy_look_seconds_count: sessions,
      'smtpf_policy_look_seconds_bucket{le="0.01"}': 0,
      'smtpf_policy_look_seconds_bucket{le="0.025"}': sessions,
      'smtpf_messages_total{verdict="reject"}': 1,
      'smtpf_callback_results_total{callback="smtp.do_mail",result="continue"}': sessions - 3,
      'smtpf_callback_results_total{callback="smtp.do_mail",result="reject"}': 1,
      'smtpf_callback_results_total{callback="smtp.do_mail",result="error"}': 2,
      'smtpf_callback_seconds_count{callback="smtp.do_mail"}': sessions,
      'smtpf_callback_seconds_bucket{callback="smtp.do_mail",le="+Inf"}': sessions,
      smtpf_script_errors_total: 2,
      'smtpf_budget_ends_total{callback="smtp.do_mail",budget="cpu"}': 1,
      'smtpf_lookups_total{service="store",outcome="ok"}': 1,
      smtpf_workers: 2,
      smtpf_workers_wanted: 2,
      smtpf_ready: 1,
      smtpf_script_serving: 1,
      smtpf_log_lines_lost_total: 0,
      smtpf_worker_restarts_total: 0,
    };
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, value(name)])), expected);
    const unanswered = [...text.matchAll(/^smtpf_lookups_total\{service="dns",outcome="(\w+)"\} (\d+)$/gm)];
    assert.equal(
      unanswered.reduce((sum, [, , count]) => sum + Number(count), 0),
      2,
    );
    assert.ok(!unanswered.some(([, outcome]) => outcome === 'ok'));
    for (const worker of [1, 2]) {
      assert.equal(value(`smtpf_policy_worker_seen{worker="${worker}"}`), 1);
      assert.ok(value(`smtpf_worker_memory_bytes{worker="${worker}"}`) > 1e7);
      assert.ok(value(`smtpf_worker_cpu_seconds_total{worker="${worker}"}`) > 0);
      assert.match(
        text,
        new RegExp(`^smtpf_worker_event_loop_delay_max_seconds\\{worker="${worker}"\\} \\d`, 'm'),
      );
    }
    assert.ok(value('smtpf_callback_seconds_sum{callback="smtp.do_mail"}') > 0.1);
    assert.ok(value('smtpf_store_bytes') > 0);
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text });
    assert.deepEqual([status, `${stdout}${stderr}`], [0, '']);
  });

  test('counts on after a worker has died, and never backwards', async (t) => {
    const { milter, port } = await server(t);
    for (let i = 0; i < 8; i++) await mailReply(milter);
    const told = (of: (name: string) => number) =>
      of('smtpf_sessions_total') >= 8 && of('smtpf_policy_mails_total{domain="b.example"}') >= 8;
    await figures(port, told);
    for (const { pid } of (await statusOf(milter)).workers) process.kill(pid, 'SIGKILL');
    let least = 8;
    await figures(port, (of) => {
      assert.ok(of('smtpf_sessions_total') >= least, `${of('smtpf_sessions_total')}`);
      least = of('smtpf_sessions_total');
      return of('smtpf_worker_restarts_total') === 2 && of('smtpf_workers') === 2;
    });
    for (let i = 0; i < 4; i++) await mailReply(milter);
    const { value } = await figures(port, (of) => of('smtpf_policy_mails_total{domain="b.example"}') === 12);
    assert.equal(value('smtpf_sessions_total'), 12);
  });

  test('says whether the server lives, and whether mail may be sent to it', async (t) => {
    const { milter, port } = await server(t);
    assert.deepEqual(await get(port, '/healthz'), {
      code: 200,
      type: 'text/plain; charset=utf-8',
      text: 'ok\n',
    });
    assert.deepEqual((await get(port, '/readyz')).text, 'ok\n');
    milter.edit('smtp.do_mail = (');
    milter.running.child.kill('SIGHUP');
    await milter.running.until('stderr', /mail is deferred/);
    const broken = await get(port, '/readyz');
    assert.deepEqual([broken.code, broken.text], [503, 'the script does not run\n']);
    milter.edit('-- nothing');
    milter.running.child.kill('SIGHUP');
    await milter.running.until('stderr', /UNFILTERED/);
    assert.equal((await get(port, '/readyz')).code, 503);
    assert.equal((await get(port, '/healthz')).code, 200);
    assert.equal((await get(port, '/')).code, 404);
    assert.equal((await get(port, '/metrics', { method: 'POST', body: 'x' })).code, 405);
    const head = await fetch(`http://127.0.0.1:${port}/metrics?x=1`, { method: 'HEAD' });
    assert.equal(head.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  });

  test('has what the documents name', async (t) => {
    const candidate = join(directory(t), 'new.lua');
    writeFileSync(candidate, POLICY);
    const { milter, port } = await server(t, ['--shadow', candidate, '--canary', '50%']);
    await mailReply(milter, '<joe@b.example>');
    const { text } = await figures(port, (of) => of('smtpf_sessions_total') === 1);
    const docs = fileURLToPath(new URL('../../docs', import.meta.url));
    const pages = readdirSync(docs).map((file) => readFileSync(join(docs, file), 'utf8'));
    const named = new Set(
      pages.flatMap((page) => [...page.matchAll(/`(smtpf_[a-z_]*[a-z])`/g)].map(([, name = '']) => name)),
    );
    assert.ok(named.has('smtpf_events_lost_total'));
    assert.deepEqual(
      [...named].filter((name) => !new RegExp(`^# TYPE ${name} `, 'm').test(text)),
      [],
    );
  });

  test('is answered while others are silent, send without end, or never read', async (t) => {
    const { milter, port } = await server(t);
    const hostile = Array.from({ length: 60 }, (_, i) => {
      const socket = connect(port, '127.0.0.1');
      t.after(() => socket.destroy());
      socket.on('error', () => {});
      if (i % 3 === 0) socket.write('GET /metrics HTTP/1.1\r\n');
      else if (i % 3 === 1) {
        const flood = (): void => {
          while (!socket.destroyed && socket.write(`X-${i}: ${'x'.repeat(4000)}\r\n`));
        };
        socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n');
        socket.on('drain', flood);
        flood();
      } else {
        socket.pause();
        socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2000));
      }
      return socket;
    });
    for (let i = 0; i < 5; i++) {
      await mailReply(milter);
      assert.equal((await get(port, '/healthz')).code, 200);
    }
    const { value } = await figures(port, (of) => of('smtpf_sessions_total') === 5);
    assert.equal(value('smtpf_worker_restarts_total'), 0);
    // Each is closed within seconds, whatever it does; who does not read notices later.
    for (const socket of hostile) socket.resume();
    await until(() => hostile.every(({ destroyed, readyState }) => destroyed || readyState !== 'open'));
  });

  test('of one process has the same', async (t) => {
    const milter = await startMilter(t, POLICY, ['--workers', '0', '--metrics', 'inet:0@127.0.0.1']);
    const port = await portOf(milter);
    for (let i = 0; i < 3; i++) await mailReply(milter);
    const { value } = await figures(port, (of) => of('smtpf_sessions_total') === 3);
    assert.equal(value('smtpf_policy_mails_total{domain="b.example"}'), 3);
    assert.equal(value('smtpf_workers'), 1);
    assert.equal((await get(port, '/readyz')).code, 200);
  });
});

describe('examples/monitoring', () => {
  const folder = fileURLToPath(new URL('../../examples/monitoring', import.meta.url));
  const check = (...args: readonly string[]) =>
    spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });

  test('has rules that Prometheus takes, and that say what they should', withPromtool, () => {
    for (const args of [
      ['check', 'rules', 'alerts.yml'],
      ['test', 'rules', 'alerts_test.yml'],
    ]) {
      const { status, stdout, stderr } = check(...args);
      assert.equal(status, 0, `${stdout}${stderr}`);
    }
  });

  test('asks for figures that are there', async (t) => {
    const { milter, port } = await server(t);
    for (const name of ['fails', 'busy', 'store']) await mailReply(milter, `<${name}@a.example>`);
    // Sessions and what was looked up for them may come in two heartbeats.
    const { text } = await figures(
      port,
      (of, page) => of('smtpf_sessions_total') === 3 && page.includes('\nsmtpf_lookups_total'),
    );
    const printed = new Set([...text.matchAll(/^(smtpf_\w+)/gm)].map(([, name]) => name));
    for (const file of ['alerts.yml', 'dashboard.json']) {
      const asked = readFileSync(join(folder, file), 'utf8').matchAll(/\b(smtpf_\w+)/g);
      const missing = [...asked]
        .map(([, name]) => name)
        .filter((name = '') => !printed.has(name) && !printed.has(`${name}_count`));
      assert.deepEqual([file, missing], [file, []]);
    }
  });
});

describe('--events', () => {
  test('has the events of all workers in one file', async (t) => {
    const path = join(directory(t), 'events');
    const milter = await startMilter(t, POLICY, [...WORKERS, '--events', `file:${path}`]);
    for (let i = 0; i < 6; i++) await mailReply(milter, `<${i}@b.example>`);
    const linesIn = (text: string) => text.split('\n').slice(0, -1);
    await until(() => linesIn(readFileSync(path, 'utf8')).length === 6);
    const events = linesIn(readFileSync(path, 'utf8')).map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map(({ sender }) => sender).sort(),
      [0, 1, 2, 3, 4, 5].map((i) => `${i}@b.example`),
    );
    const [{ event, session, transaction }] = events;
    assert.equal(event, 'mail');
    assert.equal(transaction, `${session}.1`);
  });

  for (const format of ['text', 'json']) {
    test(`has them in the log, of ${format}, where nothing else is said`, async (t) => {
      const milter = await startMilter(t, POLICY, ['--workers', '1', '--log-format', format]);
      await mailReply(milter, '<joe@b.example>');
      const [line] = await milter.running.until('stderr', /^.*\{.*joe@b\.example.*\}.*$/m);
      const object = JSON.parse(line.slice(line.indexOf('{')));
      if (format === 'text') assert.deepEqual([object.event, object.sender], ['mail', 'joe@b.example']);
      else {
        assert.deepEqual([object.event, object.name], ['policy', 'mail']);
        assert.deepEqual(object.fields, { sender: 'joe@b.example' });
      }
      assert.equal(object.transaction, `${object.session}.1`);
    });
  }
});
