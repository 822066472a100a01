/**
 * The program of a worker process: serves connections on sockets that it inherits, and does as the supervisor says.
 *
 * Signals are the supervisor's: a terminal and systemd send theirs to all processes at once. Where the supervisor has
 * gone, the worker ends.
 */
import { MetricBatch } from '../metrics/metric-batch.ts';
import { refusal } from '../net/endpoint.ts';
import { formatListenAddress } from '../net/listen-address.ts';
import { type Listener, listenInherited } from '../net/listener.ts';
import { EXIT, exitCodeOf, systemReason } from '../text/operator-error.ts';
import { ConnectionPermits, sharedPermits } from './connection-permits.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { hideWorkerEnvironment } from './orphans.ts';
import { endOnOurBugs } from './our-bugs.ts';
import { Service } from './service.ts';
import { isBehind, postUp } from './upward.ts';

const HEARTBEAT_MS = 1_000;

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

function post(message: FromWorker): boolean {
  return postUp(message, message.kind);
}

function complain(message: string): void {
  post({ kind: 'complaint', message });
}

async function begin(start: WorkerStart): Promise<void> {
  const { options, spool, sockets, secrets, number, instance, lastGood } = start;
  process.title = `smtpf-milter: worker ${number}`;
  hideWorkerEnvironment();
  const heard = (isSilent: boolean): void => {
    if (isSilent) log.warning('the supervisor does not answer: this worker serves on without it');
    else log.notice('the supervisor answers again');
  };
  const permits =
    start.ownPermits === undefined
      ? undefined
      : new ConnectionPermits(
          start.ownPermits,
          sharedPermits(options.maxConnections, options.workers),
          (kind) => void post({ kind }),
          heard,
        );
  const metrics = options.metrics && new MetricBatch();
  const service = new Service({
    options,
    spool,
    sweeps: number === 1,
    secrets,
    instance,
    complain,
    lastGood,
    admission: permits,
    announce: (notice) => {
      // What is released is known.
      if (!notice.first || start.release === undefined) post({ kind: 'notice', notice });
    },
    announceShadow: ({ key, hash, problem, callbacks }) => {
      post({ kind: 'shadowFound', version: { key, hash, problem, callbacks } });
    },
    metrics,
    tellEvent: 'path' in options.events ? (line) => post({ kind: 'told', line }) : undefined,
    journal:
      options.journal === undefined ? undefined : (decision) => void post({ kind: 'decided', decision }),
  });
  const { policies, stats, log, sink } = service;
  const listeners: Listener[] = [];
  endOnOurBugs(log, complain, () => sink.close());

  const hurry = new AbortController();
  let letServe = (): void => {};
  const mayServe = new Promise<void>((resolve) => {
    letServe = resolve;
  });
  const traces = new Map<number, () => void>();
  const end = async (graceMs: number): Promise<void> => {
    const cutOff = await service.stop(graceMs, hurry.signal, (connections) =>
      post({ kind: 'stopping', connections }),
    );
    measured();
    post({ kind: 'heartbeat', status: service.status() });
    post({ kind: 'stopped', cutOff });
    await sink.close();
    process.exit(EXIT.ok);
  };
  const obey = (message: ToWorker): void => {
    switch (message.kind) {
      case 'serve':
        letServe();
        break;
      case 'examine':
        policies.examine().then((report) => post({ kind: 'examined', id: message.id, report }));
        break;
      case 'trust':
        policies.trust(message.version);
        break;
      case 'take':
        service.take(message.release).then(() => post({ kind: 'taken', id: message.id }));
        break;
      case 'status':
        post({ kind: 'status', id: message.id, status: service.status() });
        break;
      case 'sessions':
        post({ kind: 'sessions', id: message.id, told: stats.openNow() });
        break;
      case 'trace': {
        const { id, filter } = message;
        traces.set(
          id,
          stats.trace(filter, (record) => post({ kind: 'traced', id, record })),
        );
        break;
      }
      case 'untrace':
        traces.get(message.id)?.();
        traces.delete(message.id);
        break;
      case 'permit':
        permits?.answered(message.granted);
        break;
      case 'stop':
        end(message.graceMs);
        break;
      case 'hurry':
        hurry.abort();
        break;
      case 'start':
      case 'try':
        break;
      default:
        message satisfies never;
    }
  };
  process.on('message', obey);
  if (start.release) await service.take(start.release);
  process.on('disconnect', () => {
    log.error('the supervisor has gone: this worker ends, and its connections with it');
    hurry.abort();
    end(0);
  });
  const measured = (): void => {
    if (isBehind()) return;
    const deltas = metrics?.take() ?? [];
    if (deltas.length > 0) post({ kind: 'measured', deltas });
    const told = service.shadowTold();
    if (told !== undefined) post({ kind: 'shadowed', told });
  };
  setInterval(() => {
    measured();
    post({ kind: 'heartbeat', status: service.status() });
  }, HEARTBEAT_MS);
  if (start.waits) {
    post({ kind: 'prepared' });
    await mayServe;
  }
  for (const { fd, address } of sockets) {
    try {
      listeners.push(await listenInherited(fd, address));
    } catch (error) {
      throw await refusal(`--listen ${formatListenAddress(address)}`, error, address);
    }
  }
  service.serve(listeners);
  post({ kind: 'ready' });
}

process.once('message', (message: ToWorker) => {
  if (message.kind !== 'start') return;
  begin(message).catch((error: unknown) => {
    const exitCode = exitCodeOf(error);
    process.send?.(
      { kind: 'failed', message: systemReason(error), exitCode } satisfies FromWorker,
      undefined,
      undefined,
      () => process.exit(exitCode),
    );
  });
});
post({ kind: 'loaded' });
