/** `smtpf-milter serve`: listens, hands each connection to a policy, and obeys signals until one says stop. */
import { Connection, type ConnectionTimeouts } from '../connection.ts';
import { formatListenAddress, mainCfLine, sendmailMcLine } from '../listen-address.ts';
import { bindAll, type Listener } from '../listener.ts';
import { Logger } from '../log.ts';
import { EXIT } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { messageLimitsOf } from '../options.ts';
import { openPolicySource, type PolicySource, type ScriptReport } from '../policy-source.ts';
import { dropPrivileges, lookUpGroup, lookUpIdentity } from '../privileges.ts';
import { Server } from '../server.ts';
import { prepareSpoolDirectory, requireSpoolAccess } from '../spool-directory.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import { openSink } from '../syslog/open-sink.ts';

/** Both MTAs negotiate at once and write packets whole: what takes longer is no MTA. */
const TIMEOUTS: Omit<ConnectionTimeouts, 'idleMs'> = {
  negotiationMs: 10_000,
  packetMs: 30_000,
  progressMs: 5_000,
};

/** npm and a terminal both pass on Ctrl-C: what comes this soon after the first signal is the same one. */
const SAME_SIGNAL_MS = 500;

/**
 * Runs the milter until SIGTERM or SIGINT.
 * @returns the exit code.
 * @throws OperatorError when it cannot start; nothing listens then.
 */
export async function serve(options: Options, version: string): Promise<number> {
  const signals = watchSignals();
  const identity = lookUpIdentity(options.user, options.group);
  const spool = prepareSpoolDirectory(options.spool, {
    uid: identity?.uid ?? process.getuid?.() ?? 0,
    gid: identity?.gid ?? process.getgid?.() ?? 0,
  });
  const listeners = await bindAll(options.listen, {
    mode: options.socketMode,
    uid: identity?.uid,
    gid:
      options.socketGroup === undefined ? identity?.gid : lookUpGroup('--socket-group', options.socketGroup),
  });
  try {
    if (identity !== undefined) dropPrivileges(identity);
    requireSpoolAccess(spool);
    return await run(options, version, { listeners, spool, signals });
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
}

interface Prepared {
  readonly listeners: readonly Listener[];
  readonly spool: string;
  readonly signals: Signals;
}

async function run(
  options: Options,
  version: string,
  { listeners, spool, signals }: Prepared,
): Promise<number> {
  const sink = openSink(options.syslog, complain);
  const log = new Logger(sink, options.logLevel);
  endOnOurBugs(log, sink, listeners);
  const policies = openPolicySource({ options, log, sink, spool });
  const report = await policies.examine();
  announce(version, listeners, report);
  logStart(log, version, listeners, report);

  const nextSessionId = sessionIds();
  const timeouts = { ...TIMEOUTS, idleMs: options.idleTimeoutMs };
  const settings = { policies, log, timeouts, limits: messageLimitsOf(options), nextSessionId };
  const server = new Server(listeners, {
    maxConnections: options.maxConnections,
    serve: (socket) => new Connection(socket, settings),
    warn: (message) => log.warning(message),
  });
  signals.onReload(() => reload(policies, log));
  const signal = await signals.stop;
  const shutdown = server.shutdown(options.graceMs, signals.hurry);
  log.notice(`${signal}: stopping, ${server.connections} connections open`);
  const cutOff = await shutdown;
  log.notice(cutOff === 0 ? 'stopped' : `stopped, ${cutOff} connections cut off`);
  await sink.close();
  return EXIT.ok;
}

function complain(message: string): void {
  process.stderr.write(`smtpf-milter: ${message}\n`);
}

interface Signals {
  /** The first SIGTERM or SIGINT. */
  readonly stop: Promise<string>;
  /** Fires at the second. */
  readonly hurry: AbortSignal;
  /** What SIGHUP does from now on; one that came before is made up for. */
  onReload(reload: () => void): void;
}

function watchSignals(): Signals {
  const hurry = new AbortController();
  let missed = false;
  let reloadNow = (): void => {
    missed = true;
  };
  process.on('SIGHUP', () => reloadNow());
  const stop = new Promise<string>((resolve) => {
    let first: number | undefined;
    const stopping = (signal: string): void => {
      first ??= performance.now();
      if (performance.now() - first > SAME_SIGNAL_MS) hurry.abort();
      resolve(signal);
    };
    process.on('SIGTERM', stopping);
    process.on('SIGINT', stopping);
  });
  return {
    stop,
    hurry: hurry.signal,
    onReload(reload) {
      reloadNow = reload;
      if (missed) reload();
    },
  };
}

async function reload(policies: PolicySource, log: Logger): Promise<void> {
  const report = await policies.examine();
  if (report.problem === undefined) log.notice(`SIGHUP: ${describeScript(report)}`);
  else log.warning(`SIGHUP: ${report.problem}`);
  for (const warning of report.warnings) log.warning(warning);
}

function describeScript({ path, hash, callbacks }: ScriptReport): string {
  return `script ${path} (${hash}), callbacks: ${callbacks.join(' ') || 'none'}`;
}

/** On standard output: what an operator wants to see, and the lines to copy, each alone on its line. */
function announce(version: string, listeners: readonly Listener[], report: ScriptReport): void {
  const lines = [`smtpf-milter ${version}`];
  for (const { address } of listeners) {
    lines.push(
      `listening on ${formatListenAddress(address)}`,
      '',
      'For Postfix, in main.cf:',
      mainCfLine(address),
      'For Sendmail, in sendmail.mc:',
      sendmailMcLine(address),
      '',
    );
  }
  lines.push(
    report.problem === undefined ? describeScript(report) : `script does not run: ${report.problem}`,
  );
  lines.push(...report.warnings.map((warning) => `warning: ${warning}`));
  process.stdout.write(Buffer.from(`${lines.join('\n')}\n`, 'latin1'));
}

function logStart(log: Logger, version: string, listeners: readonly Listener[], report: ScriptReport): void {
  const addresses = listeners.map(({ address }) => formatListenAddress(address)).join(' ');
  log.notice(`smtpf-milter ${version} listening on ${addresses}`);
  if (report.problem === undefined) log.notice(describeScript(report));
  else log.warning(`script does not run: ${report.problem}`);
  for (const warning of report.warnings) log.warning(warning);
  if (process.getuid?.() === 0) log.warning('running as root: choose another user with --user');
}

/** What escapes every handler is our bug, after which nothing can be relied on. */
function endOnOurBugs(log: Logger, sink: LogSink, listeners: readonly Listener[]): void {
  process.on('uncaughtException', (error) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error(`internal error, ending: ${stack}`);
    complain(`internal error: ${stack}`);
    for (const listener of listeners) listener.close();
    sink.close().finally(() => process.exit(EXIT.software));
  });
}

/** Short, and unlike those of other instances and earlier runs: start time and a count. */
function sessionIds(): () => string {
  const start = Date.now().toString(36);
  let count = 0;
  return () => {
    count += 1;
    return `${start}.${count.toString(36)}`;
  };
}
