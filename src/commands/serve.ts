/** `smtpf-milter serve`: listens, has connections served by this process or by workers, and obeys signals until one says stop. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Binding, bindEach, type SocketAccess } from '../binding.ts';
import { controlPathOf } from '../control/control-client.ts';
import { ControlServer } from '../control/control-server.ts';
import type { Fleet } from '../control/fleet.ts';
import { Journal } from '../control/journal.ts';
import { formatListenAddress } from '../listen-address.ts';
import { bindAll, type Listener, listenUnix } from '../listener.ts';
import { Logger } from '../log.ts';
import { Spool } from '../message-file.ts';
import { EXIT, OperatorError, systemReason } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import type { ScriptReport } from '../policy-source.ts';
import { dropPrivileges, lookUpGroup, lookUpIdentity } from '../privileges.ts';
import { prepareSpoolDirectory, requireSpoolAccess } from '../spool-directory.ts';
import { fleetOfOne } from '../supervisor/fleet-of-one.ts';
import { PassiveSocket } from '../supervisor/passive-socket.ts';
import { ScriptState } from '../supervisor/script-state.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { openSink, targetOnThisMachine } from '../syslog/open-sink.ts';
import { announce, logReload, logStart } from './announcement.ts';
import { type Signals, watchSignals } from './signals.ts';

/** Workers of a program that was killed a moment ago still hold its addresses. */
const PREDECESSOR_MS = 1_500;
const PREDECESSOR_LOOK_MS = 50;

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
  const access: SocketAccess = {
    mode: options.socketMode,
    uid: identity?.uid,
    gid:
      options.socketGroup === undefined ? identity?.gid : lookUpGroup('--socket-group', options.socketGroup),
  };
  const sockets: Sockets =
    options.workers === 0
      ? { listeners: await bindAll(options.listen, access) }
      : { bindings: await bindPassively(options, access) };
  let control: ControlSocket = {};
  const closeSockets = () =>
    [...(sockets.listeners ?? sockets.bindings), ...(control.listener ? [control.listener] : [])].map(
      (socket) => socket.close(),
    );
  let journal: Journal | undefined;
  try {
    control = await bindControl(options, spool, identity);
    if (identity !== undefined) dropPrivileges(identity);
    requireSpoolAccess(spool);
    journal = await openJournal(options, complain);
    const syslog = targetOnThisMachine(options.syslog, complain);
    const program = {
      options: { ...options, syslog },
      version,
      spool,
      signals,
      control,
      journal,
      closeSockets,
    };
    return sockets.listeners
      ? await serveAlone({ ...program, listeners: sockets.listeners })
      : await serveByWorkers({ ...program, bindings: sockets.bindings });
  } catch (error) {
    closeSockets();
    throw error;
  } finally {
    await journal?.close();
  }
}

type Sockets =
  | { readonly listeners: readonly Listener[] }
  | { readonly listeners?: undefined; readonly bindings: readonly Binding<PassiveSocket>[] };

interface Program {
  readonly options: Options;
  readonly version: string;
  readonly spool: string;
  readonly signals: Signals;
  readonly control: ControlSocket;
  readonly journal: Journal | undefined;
  /** @returns what went wrong with each */
  readonly closeSockets: () => (string | undefined)[];
}

/** What the processes that serve, several or one, have in common towards the operator. */
interface Serving extends Program {
  readonly fleet: Fleet;
  readonly log: Logger;
  readonly addresses: readonly Listener['address'][];
  readonly report: ScriptReport;
  examine(): Promise<ScriptReport | undefined>;
  /** @param announce is told how many connections are open. @returns how many were cut off. */
  stop(announce: (connections: number) => void): Promise<number>;
}

/** From the announcement to the end. */
async function beOfService(serving: Serving): Promise<number> {
  const { version, addresses, report, log, signals, fleet, journal } = serving;
  const { listener, problem } = serving.control;
  const control = listener && new ControlServer(listener, fleet, journal);
  if (problem !== undefined) log.notice(problem);
  announce({ version, addresses, report });
  logStart(log, { version, addresses, report });
  signals.onReload(async () => logReload(log, await serving.examine()));
  const signal = await signals.stop;
  control?.close();
  const cutOff = await serving.stop((connections) =>
    log.notice(`${signal}: stopping, ${connections} connections open`),
  );
  log.notice(cutOff === 0 ? 'stopped' : `stopped, ${cutOff} connections cut off`);
  return EXIT.ok;
}

async function serveAlone(program: Program & { readonly listeners: readonly Listener[] }): Promise<number> {
  const { options, version, spool, listeners, journal, signals, closeSockets } = program;
  // The supervisor has no need of the Lua engine.
  const { endOnOurBugs, Service } = await import('../supervisor/service.ts');
  const instance = Date.now().toString(36);
  const service = new Service({
    options,
    spool,
    instance,
    complain,
    announce: (notice) => script.noticed(notice),
    journal: journal && ((decision) => journal.add(decision)),
  });
  const { log, sink, policies } = service;
  const script = new ScriptState(options.script, log);
  const examine = async (): Promise<ScriptReport> => {
    const found = await policies.examine();
    script.examined(found);
    return found;
  };
  endOnOurBugs(log, complain, () => {
    closeSockets();
    return sink.close();
  });
  const report = await examine();
  service.serve(listeners);
  const addresses = listeners.map(({ address }) => address);
  const listening = addresses.map(formatListenAddress);
  const code = await beOfService({
    ...program,
    fleet: fleetOfOne(service, { version, listening, script }),
    log,
    addresses,
    report,
    examine,
    stop: (announceStop) => service.stop(options.graceMs, signals.hurry, announceStop),
  });
  await sink.close();
  return code;
}

async function serveByWorkers(
  program: Program & { readonly bindings: readonly Binding<PassiveSocket>[] },
): Promise<number> {
  const { options, version, spool, bindings, journal, signals, closeSockets } = program;
  const sink = openSink(options.syslog, complain, options.logFormat);
  const log = new Logger(sink, options.logLevel);
  process.on('uncaughtException', (error) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error(`internal error, ending: ${stack}`);
    complain(`internal error: ${stack}`);
    closeSockets();
    sink.close().finally(() => process.exit(EXIT.software));
  });
  const removed = new Spool(spool).sweep();
  if (removed > 0) log.notice(`${removed} message files of an earlier run removed from ${spool}`);
  const supervisor = new Supervisor({
    options,
    version,
    spool,
    bindings,
    log,
    sink,
    complain,
    journal: journal && ((decision) => journal.add(decision)),
  });
  const report = await supervisor.start();
  const code = await beOfService({
    ...program,
    fleet: supervisor,
    log,
    addresses: bindings.map(({ address }) => address),
    report,
    examine: () => supervisor.examine(),
    stop: (announceStop) => {
      for (const trouble of closeSockets()) if (trouble !== undefined) log.warning(trouble);
      return supervisor.stop(options.graceMs, signals.hurry, announceStop);
    },
  });
  await sink.close();
  return code;
}

async function bindPassively(options: Options, access: SocketAccess): Promise<Binding<PassiveSocket>[]> {
  const until = performance.now() + PREDECESSOR_MS;
  for (;;) {
    try {
      return await bindEach(options.listen, access, PassiveSocket.open);
    } catch (error) {
      const isInUse = error instanceof OperatorError && error.message.includes('address in use');
      if (!isInUse || performance.now() > until) throw error;
      await pause(PREDECESSOR_LOOK_MS);
    }
  }
}

async function openJournal(
  { journal, journalBytes, journalRedact }: Options,
  warn: (message: string) => void,
): Promise<Journal | undefined> {
  if (journal === undefined) return undefined;
  return Journal.open({ path: journal, maxBytes: journalBytes, redact: journalRedact, warn });
}

interface ControlSocket {
  readonly listener?: Listener;
  /** Why there is none. */
  readonly problem?: string;
}

/** Where nobody has asked for it, mail is not to suffer from a control socket that cannot be had. */
async function bindControl(
  options: Options,
  spool: string,
  identity: { readonly uid: number | undefined; readonly gid: number } | undefined,
): Promise<ControlSocket> {
  const path = controlPathOf({ ...options, spool });
  if (path === undefined) return {};
  try {
    return { listener: await listenUnix(path, { mode: 0o600, uid: identity?.uid, gid: identity?.gid }) };
  } catch (error) {
    const reason = systemReason(error);
    if (options.control !== undefined) throw new OperatorError(`--control ${path}: ${reason}`, EXIT.config);
    return { problem: `no control socket at ${path}: ${reason} (--control names another place)` };
  }
}

function complain(message: string): void {
  process.stderr.write(`smtpf-milter: ${message}\n`);
}
