/** Log servers that are dead, deaf or slow: mail goes on, memory stays, and the log says what is missing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { PassThrough } from 'node:stream';
import { after, describe, it, type TestContext } from 'node:test';
import { DgramSocket } from 'node-unix-socket';
import type { LogRecord } from '../../src/syslog/message.ts';
import { openSink } from '../../src/syslog/open-sink.ts';
import { StderrSink } from '../../src/syslog/stderr-sink.ts';
import { freePort } from '../helpers/loopback.ts';
import { Rsyslogd, withoutRsyslogd } from './rsyslogd.ts';

function info(text: string): LogRecord {
  return { facility: 2, severity: 6, ident: 'smtpf', pid: true, text };
}

const sinkModule = new URL('../../src/syslog/open-sink.ts', import.meta.url).href;

/** Runs a program of its own that has openSink. */
function run(program: string): { status: number | null; signal: string | null; stderr: string } {
  const whole = `const { openSink } = await import('${sinkModule}');\n${program}`;
  return spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', whole], {
    encoding: 'latin1',
    timeout: 120_000,
  });
}

async function tcpServer(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('a TCP log server that never reads', { timeout: 600_000 }, () => {
  it('costs bounded memory, no time, and is told later how much is missing', async (t) => {
    let deaf: Socket | undefined;
    const port = await tcpServer(t, (socket) => {
      deaf = socket.pause();
    });
    const problems: string[] = [];
    const sink = openSink({ kind: 'tcp', host: '127.0.0.1', port }, (message) => problems.push(message));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const before = process.memoryUsage();
    delay.enable();
    const total = 200_000;
    const text = 'x'.repeat(480);
    for (let i = 0; i < total; i++) {
      sink.write(info(`${i} ${text}`));
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    delay.disable();
    const { rss, external, arrayBuffers } = process.memoryUsage();
    assert.ok(sink.dropped > total / 2, `${sink.dropped} dropped`);
    assert.ok(rss - before.rss < 80e6, `rss grew by ${rss - before.rss}`);
    assert.ok(external + arrayBuffers - before.external - before.arrayBuffers < 80e6, 'buffers');
    // Generous: other programs of the machine delay it too. Waiting for the server would take as long as the test.
    assert.ok(delay.percentile(99) < 1000e6, `event loop delayed by ${delay.percentile(99) / 1e6} ms`);
    assert.deepEqual(problems, [`tcp://127.0.0.1:${port} does not keep up: log lines are dropped`]);

    // It reads at last: what was kept arrives in order, then the number of those lost.
    assert.ok(deaf !== undefined);
    let received = '';
    let lines = 0;
    let report: number | undefined;
    deaf.setEncoding('latin1').resume();
    for await (const chunk of deaf) {
      const parts = (received + chunk).split('\n');
      received = parts.pop() ?? '';
      for (const line of parts) {
        const lost =
          /<20>\S+ +\d+ \S+ \S+ smtpf-milter\[\d+\]: log queue was full: (\d+) messages lost$/.exec(line);
        if (lost !== null) report = Number(lost[1]);
        else assert.match(line, new RegExp(`: ${lines++} x+$`));
      }
      if (report !== undefined && lines + report === total) break;
    }
    assert.equal(report, sink.dropped);
    await sink.close();
  });

  it('does not hold up close()', async (t) => {
    const port = await tcpServer(t, (socket) => socket.pause());
    const problems: string[] = [];
    const sink = openSink({ kind: 'tcp', host: '127.0.0.1', port }, (message) => problems.push(message));
    for (let i = 0; i < 30_000; i++) sink.write(info('x'.repeat(200)));
    const started = performance.now();
    await sink.close();
    const took = performance.now() - started;
    // It has two seconds; a busy machine may take longer to tell that they are over.
    assert.ok(took > 1000 && took < 20_000, `${took} ms`);
    assert.match(problems.at(-1) ?? '', /did not take the last \d+ log lines$/);
    assert.ok(sink.dropped > 0);
  });
});

describe('a TCP log server that is not there', { timeout: 600_000 }, () => {
  it('gets everything once it is', async (t) => {
    const port = await freePort();
    const failed = new EventEmitter();
    const problems: string[] = [];
    const sink = openSink({ kind: 'tcp', host: 'localhost', port }, (message) => {
      problems.push(message);
      failed.emit('problem');
    });
    const problem = once(failed, 'problem');
    for (let i = 0; i < 5000; i++) sink.write(info(`line ${i}`));
    await problem;
    for (let i = 5000; i < 10_000; i++) sink.write(info(`line ${i}`));

    const server = createServer().listen(port, '127.0.0.1');
    t.after(() => server.close());
    const [socket] = (await once(server, 'connection')) as [Socket];
    let received = '';
    for await (const chunk of socket.setEncoding('latin1')) {
      received += chunk;
      if (received.endsWith(': line 9999\n')) break;
    }
    assert.deepEqual(
      received.match(/line \d+/g),
      Array.from({ length: 10_000 }, (_, i) => `line ${i}`),
    );
    await sink.close();
    assert.equal(sink.dropped, 0);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? '',
      /^tcp:\/\/localhost:\d+: .*ECONNREFUSED.*: log lines are kept until it answers$/,
    );
  });

  it('is reported once where it takes connections and closes them', async (t) => {
    let connections = 0;
    const thrice = new EventEmitter();
    const port = await tcpServer(t, (socket) => {
      socket.destroy();
      if (++connections === 3) thrice.emit('done');
    });
    const problems: string[] = [];
    const sink = openSink({ kind: 'tcp', host: '127.0.0.1', port }, (message) => problems.push(message));
    const stream = setInterval(() => sink.write(info('x')), 1);
    await once(thrice, 'done');
    clearInterval(stream);
    await sink.close();
    assert.ok(problems.length <= 2, problems.join('\n')); // The outage, and what was left at close.
  });
});

describe('a syslog daemon that hangs', { skip: withoutRsyslogd, timeout: 600_000 }, () => {
  it('costs bounded memory and hardly any time, and is told later how much is missing', async (t) => {
    const daemon = await Rsyslogd.start();
    t.after(() => daemon.remove());
    const problems: string[] = [];
    const sink = openSink({ kind: 'local', path: daemon.socket }, (message) => problems.push(message));
    daemon.hang();
    const total = 40_000;
    const started = performance.now();
    for (let i = 0; i < total; i++) sink.write(info(`hang ${i}`));
    assert.ok(performance.now() - started < 20_000);
    assert.ok(sink.dropped > 0 && sink.dropped < total / 2);

    const used = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { user, system } = process.cpuUsage(used);
    assert.ok(user + system < 200_000, `${(user + system) / 1000} ms of CPU time in 500 ms of waiting`);

    daemon.goOn();
    const lines = await daemon.until(({ text }) => text.startsWith('log queue was full'));
    await sink.close();
    const lost = lines.find(({ text }) => text.startsWith('log queue was full'));
    assert.equal(lost?.text, `log queue was full: ${sink.dropped} messages lost`);
    assert.equal(lost?.tag, `smtpf-milter[${process.pid}]:`);
    assert.deepEqual(problems, [`${daemon.socket} does not keep up: log lines are dropped`]);
    const last = `hang ${total - sink.dropped - 1}`;
    const all = await daemon.until(({ text }) => text === last);
    assert.equal(all.filter(({ text }) => text.startsWith('hang ')).length, total - sink.dropped);
  });
});

describe('/dev/log', { timeout: 600_000 }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'syslog-test-'));
  after(() => rmSync(scratch, { recursive: true }));

  it('that is missing is reported, and stderr takes its place', () => {
    const path = join(scratch, 'nothing');
    const { status, stderr } = run(
      `const sink = openSink({ kind: 'local', path: '${path}' }, (message) => console.error(message));
       sink.write({ facility: 2, severity: 3, ident: 'smtpf', pid: false, text: 'not lost' });
       await sink.close();`,
    );
    assert.equal(status, 0);
    const [problem, line] = stderr.split('\n');
    assert.equal(
      problem,
      `no syslog daemon listens on ${path}: logging to stderr; choose another with --syslog`,
    );
    assert.match(line ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} error smtpf: not lost$/);
  });

  it('left over by a daemon that has ended serves again when one listens there', async () => {
    const path = join(scratch, 'left-over');
    const former = new DgramSocket();
    former.bind(path);
    former.close();
    const failed = new EventEmitter();
    const sink = openSink({ kind: 'local', path }, (message) => failed.emit('problem', message));
    const problem = once(failed, 'problem');
    sink.write(info('kept'));
    assert.equal(String(await problem), `${path}: Connection refused: log lines are kept until it answers`);
    rmSync(path);
    const daemon = new DgramSocket();
    daemon.bind(path);
    const [line] = (await once(daemon, 'data')) as [Buffer];
    assert.match(line.toString('latin1'), /^<22>.* smtpf\[\d+\]: kept$/);
    await sink.close();
    daemon.close();
  });
});

describe('a sink that nobody closed', { timeout: 600_000 }, () => {
  it('does not keep the process alive', async (t) => {
    const port = await tcpServer(t, (socket) => socket.pause());
    const path = join(mkdtempSync(join(tmpdir(), 'syslog-test-')), 'log');
    t.after(() => rmSync(join(path, '..'), { recursive: true }));
    const daemon = new DgramSocket();
    daemon.bind(path);
    t.after(() => daemon.close());
    for (const target of [
      { kind: 'tcp', host: '127.0.0.1', port },
      { kind: 'udp', host: '127.0.0.1', port },
      { kind: 'local', path },
    ]) {
      const { status, signal } = run(
        `const sink = openSink(${JSON.stringify(target)}, () => {});
         for (let i = 0; i < 2000; i++) sink.write({ facility: 2, severity: 6, ident: 'x', pid: true, text: 'x' });`,
      );
      assert.equal(status, 0, `${target.kind}: ${signal}`);
    }
  });
});

describe('standard error', { timeout: 600_000 }, () => {
  it('that nobody reads costs bounded memory, and is told later how much is missing', async () => {
    const pipe = new PassThrough();
    const sink = new StderrSink(pipe, false);
    const total = 20_000;
    for (let i = 0; i < total; i++) sink.write(info('x'.repeat(980)));
    assert.ok(sink.dropped > total / 2 && sink.dropped < total, `${sink.dropped} dropped`);
    assert.ok(pipe.writableLength < 5e6);
    pipe.resume();
    await once(pipe, 'drain');
    pipe.pause();
    sink.write(info('again'));
    const [report, again] = String(pipe.read()).split('\n').slice(-3);
    assert.match(
      report ?? '',
      new RegExp(`smtpf-milter\\[\\d+\\]: standard error was not read: ${sink.dropped} messages lost$`),
    );
    assert.match(again ?? '', /: again$/);
    await sink.close();
  });

  it('whose reader has gone does not end the process', () => {
    const { status } = spawnSync('sh', [
      '-c',
      `{ ${process.execPath} --import tsx --input-type=module -e "$1" 2>&1 >&3 | true; } 3>&1`,
      'sh',
      `const { openSink } = await import('${sinkModule}');
       const sink = openSink({ kind: 'stderr' }, () => {});
       const write = () => sink.write({ facility: 2, severity: 6, ident: 'x', pid: true, text: 'x'.repeat(900) });
       for (let i = 0; i < 200; i++) { write(); await new Promise(setImmediate); }
       await sink.close();
       console.log('alive');`,
    ]);
    assert.equal(status, 0);
  });

  it('that is a stream of the journal gets priorities', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'syslog-test-')), 'stderr');
    const fd = openSync(file, 'w');
    const { dev, ino } = fstatSync(fd);
    const program = `const { openSink } = await import('${sinkModule}');
      const sink = openSink({ kind: 'stderr' }, () => {});
      sink.write({ facility: 2, severity: 4, ident: 'x', pid: false, text: 'caf\\xe9' });
      await sink.close();`;
    for (const [stream, wanted] of [
      [`${dev}:${ino}`, /^<4>x: caf\xe9\n$/],
      [`${dev}:${ino + 1}`, /^<4>x: caf\xe9\n\d{4}-.* warning x: caf\xe9\n$/],
    ] as const) {
      spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
        env: { ...process.env, JOURNAL_STREAM: stream },
        stdio: ['ignore', 'inherit', fd],
      });
      assert.match(readFileSync(file, 'latin1'), wanted);
    }
    closeSync(fd);
    rmSync(join(file, '..'), { recursive: true });
  });
});
