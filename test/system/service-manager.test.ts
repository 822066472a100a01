/** What systemd is told, by a real datagram socket in its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceManager } from '../../src/system/service-manager.ts';
import { NotifySocket } from '../helpers/notify-socket.ts';
import { directory } from '../program/program.ts';

function unheard(message: string): void {
  assert.fail(message);
}

test('it is told of the start, a reload and the end, one datagram each', async (t) => {
  const systemd = new NotifySocket(t, directory(t));
  const environment: NodeJS.ProcessEnv = { NOTIFY_SOCKET: systemd.path, OTHER: 'x' };
  const manager = ServiceManager.of(unheard, environment);
  assert.deepEqual(environment, { OTHER: 'x' });
  manager.ready('script /etc/mail/smtpf.lua\nREADY=0');
  const before = process.hrtime.bigint() / 1000n;
  manager.reloading();
  manager.stopping('SIGTERM');
  await systemd.until(({ length }) => length >= 3);
  const [ready, reloading = '', stopping] = systemd.messages;
  assert.equal(ready, 'READY=1\nSTATUS=script /etc/mail/smtpf.lua\\nREADY=0');
  const [, at = '0'] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
  assert.ok(BigInt(at) >= before && BigInt(at) <= process.hrtime.bigint() / 1000n, reloading);
  assert.equal(stopping, 'STOPPING=1\nSTATUS=SIGTERM');
});

test('a watchdog hears of it in time, once it is ready, while the process turns', async (t) => {
  const systemd = new NotifySocket(t, directory(t));
  const watched = (pid: string) => ({
    NOTIFY_SOCKET: systemd.path,
    WATCHDOG_USEC: '90000',
    WATCHDOG_PID: pid,
  });
  // Pings go on to the end of the process, when nobody hears them any more.
  const others = ServiceManager.of(() => {}, watched('1'));
  const manager = ServiceManager.of(() => {}, watched(String(process.pid)));
  others.ready('another');
  manager.ready('x');
  const pings = () => systemd.messages.filter((message) => message === 'WATCHDOG=1').length;
  await systemd.until(() => pings() >= 2);
  // A second `ready`, after a reload, begins no second row of pings.
  manager.ready('x');
  await systemd.until(() => pings() >= 4);
  assert.equal(systemd.messages.filter((message) => message.startsWith('READY')).length, 3);
});

test('without systemd nothing is said, and with one that is away it is said once', () => {
  ServiceManager.of(unheard, {}).ready('x');
  ServiceManager.of(unheard, { WATCHDOG_USEC: '1000' }).ready('x');
  for (const path of ['/nowhere/notify', '@abstract', 'vsock:2:1']) {
    const said: string[] = [];
    const manager = ServiceManager.of((message) => said.push(message), { NOTIFY_SOCKET: path });
    manager.ready('x');
    manager.stopping('x');
    assert.equal(said.length, 1, path);
    assert.match(said[0] ?? '', new RegExp(`^NOTIFY_SOCKET ${path}: systemd could not be told: \\S`));
  }
});

test('one that does not read holds nobody, and is said to be so', async (t) => {
  // Nothing turns the loop below, so this process reads none of it.
  const systemd = new NotifySocket(t, directory(t));
  const said: string[] = [];
  const manager = ServiceManager.of((message) => said.push(message), { NOTIFY_SOCKET: systemd.path });
  for (let count = 0; count < 2000 && said.length === 0; count++) manager.stopping('x'.repeat(1000));
  assert.deepEqual(said, [`NOTIFY_SOCKET ${systemd.path}: systemd could not be told: it does not read`]);
});
