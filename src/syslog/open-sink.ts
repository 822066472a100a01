/**
 * From a target to the sink that reaches it.
 */
import { RemoteCarrier } from './client.ts';
import type { LogSink } from './log-sink.ts';
import { QueuedSink } from './queued-sink.ts';
import { StderrSink } from './stderr-sink.ts';
import type { SyslogTarget } from './target.ts';
import { openUnixCarrier } from './unix-carrier.ts';

const NOWHERE: LogSink = {
  write() {},
  close: () => Promise.resolve(),
  dropped: 0,
};

/**
 * Opens a sink for the target. Nothing has to answer yet: lines wait for a log server that comes later. Where the
 * machine has no syslog daemon, `local` falls back to standard error.
 *
 * @param onProblem is told in one line, once per outage, what an operator should know; it must not write to this sink
 */
export function openSink(target: SyslogTarget, onProblem: (message: string) => void): LogSink {
  switch (target.kind) {
    case 'local': {
      const carrier = openUnixCarrier(target.path);
      if (typeof carrier !== 'string') return new QueuedSink(carrier, onProblem);
      onProblem(`${carrier}: logging to stderr; choose another with --syslog`);
      return new StderrSink();
    }
    case 'udp':
    case 'tcp':
      return new QueuedSink(new RemoteCarrier(target), onProblem);
    case 'stderr':
      return new StderrSink();
    case 'none':
      return NOWHERE;
    default:
      return target satisfies never;
  }
}
