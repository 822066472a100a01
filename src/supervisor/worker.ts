/**
 * The program of a worker process: serves connections on sockets that it inherits, and does as the supervisor says.
 *
 * Signals are the supervisor's: a terminal and systemd send theirs to all processes at once. Where the supervisor has
 * gone, the worker ends.
 */
import { type Listener, listenInherited } from '../listener.ts';
import { EXIT, OperatorError, systemReason } from '../operator-error.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { Places } from './places.ts';
import { endOnOurBugs, Service } from './service.ts';

const BEAT_MS = 1_000;

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

function post(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function complain(message: string): void {
  post({ kind: 'complaint', message });
}

async function begin(start: WorkerStart): Promise<void> {
  const { options, spool, sockets, number, instance, lastGood } = start;
  process.title = `smtpf-milter: worker ${number}`;
  const places =
    start.ownPlaces === undefined ? undefined : new Places(start.ownPlaces, (kind) => post({ kind }));
  const service = new Service({
    options,
    spool,
    instance,
    complain,
    lastGood,
    admission: places,
    announce: (notice) => post({ kind: 'notice', notice, source: goodSource(notice.passed) }),
    journal: options.journal === undefined ? undefined : (decision) => post({ kind: 'decided', decision }),
  });
  const { policies, account, log, sink } = service;
  const listeners: Listener[] = [];
  const goodSource = (passed: boolean): Uint8Array | undefined =>
    passed && options.onBadScript === 'last-good' ? policies.source : undefined;
  endOnOurBugs(log, complain, () => sink.close());

  const hurry = new AbortController();
  const traces = new Map<number, () => void>();
  const end = async (graceMs: number): Promise<void> => {
    const cutOff = await service.stop(graceMs, hurry.signal, (connections) =>
      post({ kind: 'stopping', connections }),
    );
    post({ kind: 'stopped', cutOff });
    await sink.close();
    process.exit(EXIT.ok);
  };
  const obey = (message: ToWorker): void => {
    switch (message.kind) {
      case 'examine':
        policies.examine().then((report) => {
          post({
            kind: 'examined',
            id: message.id,
            report,
            source: goodSource(report.problem === undefined),
          });
        });
        break;
      case 'trust':
        policies.trust(message.hash, message.source);
        break;
      case 'status':
        post({ kind: 'status', id: message.id, status: service.status() });
        break;
      case 'trace': {
        const { id, filter } = message;
        traces.set(
          id,
          account.trace(filter, (record) => post({ kind: 'traced', id, record })),
        );
        break;
      }
      case 'untrace':
        traces.get(message.id)?.();
        traces.delete(message.id);
        break;
      case 'place':
        places?.answered(message.granted);
        break;
      case 'stop':
        end(message.graceMs);
        break;
      case 'hurry':
        hurry.abort();
        break;
      case 'start':
        break;
      default:
        message satisfies never;
    }
  };
  process.on('message', obey);
  process.on('disconnect', () => {
    log.error('the supervisor has gone: this worker ends, and its connections with it');
    hurry.abort();
    end(0);
  });
  setInterval(() => post({ kind: 'beat', status: service.status() }), BEAT_MS);
  for (const { fd, address } of sockets) listeners.push(await listenInherited(fd, address));
  service.serve(listeners);
  post({ kind: 'ready' });
}

process.once('message', (message: ToWorker) => {
  if (message.kind !== 'start') return;
  begin(message).catch((error: unknown) => {
    const [reason, exitCode] =
      error instanceof OperatorError ? [error.message, error.exitCode] : [systemReason(error), EXIT.config];
    process.send?.(
      { kind: 'failed', message: reason, exitCode } satisfies FromWorker,
      undefined,
      undefined,
      () => process.exit(exitCode),
    );
  });
});
post({ kind: 'loaded' });
