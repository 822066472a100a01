/**
 * From a target to the sink that reaches it.
 */
import { RemoteCarrier } from './client.ts';
import { JsonSink } from './json-sink.ts';
import type { LogSink } from './log-sink.ts';
import { type Carrier, QueuedSink } from './queued-sink.ts';
import { StderrSink } from './stderr-sink.ts';
import type { SyslogTarget } from './target.ts';
import { openUnixCarrier } from './unix-carrier.ts';

const NOWHERE: LogSink = {
  write() {},
  close: () => Promise.resolve(),
  discards: true,
  dropped: 0,
};

/**
 * Where lines for a target go on this machine, as all processes of the program are to have it.
 *
 * @param onProblem is told in one line where that is another place
 */
export function targetOnThisMachine(
  target: SyslogTarget,
  onProblem: (message: string) => void,
): SyslogTarget {
  if (target.kind !== 'local') return target;
  const carrier = openUnixCarrier(target.path);
  if (typeof carrier !== 'string') {
    carrier.close();
    return target;
  }
  onProblem(fallback(carrier));
  return { kind: 'stderr' };
}

/** @param reason there is no way to the syslog daemon */
function fallback(reason: string): string {
  return `${reason}: logging to stderr; choose another with --syslog`;
}

/**
 * Opens a sink for the target. Nothing has to answer yet: lines wait for a log server that comes later. Where the
 * machine has no syslog daemon, `local` falls back to standard error.
 *
 * @param format of the text of a line: `json` for one object
 * @param onProblem is told in one line, once per outage, what an operator should know; it must not write to this sink
 */
export function openSink(
  target: SyslogTarget,
  onProblem: (message: string) => void,
  format: 'text' | 'json' = 'text',
): LogSink {
  const json = format === 'json';
  const toStderr = (): LogSink => new StderrSink(process.stderr, undefined, json);
  const queued = (carrier: Carrier): LogSink => {
    const sink = new QueuedSink(carrier, onProblem);
    return json ? new JsonSink(sink) : sink;
  };
  switch (target.kind) {
    case 'local': {
      const carrier = openUnixCarrier(target.path);
      if (typeof carrier !== 'string') return queued(carrier);
      onProblem(fallback(carrier));
      return toStderr();
    }
    case 'udp':
    case 'tcp':
      return queued(new RemoteCarrier(target));
    case 'stderr':
      return toStderr();
    case 'none':
      return NOWHERE;
    default:
      return target satisfies never;
  }
}
