/** `smtpf-milter serve`: listens, has connections served by this process or by workers, and obeys signals until one says stop. */

import { ControlServer } from '../control/control-server.ts';
import { bindControl, type ControlSocket } from '../control/control-socket.ts';
import type { Fleet } from '../control/fleet.ts';
import { Journal } from '../control/journal.ts';
import { familiesOf, notReady } from '../control/metrics-page.ts';
import { MetricsServer } from '../control/metrics-server.ts';
import { deadlinesOf } from '../control/status.ts';
import type { EventWriter } from '../events/event-writer.ts';
import { openEventWriter } from '../events/open-writer.ts';
import { loadExposition } from '../metrics/exposition.ts';
import { MetricBatch } from '../metrics/metric-batch.ts';
import { MetricTotals } from '../metrics/metric-totals.ts';
import { bindEach, type Endpoint, type SocketAccess } from '../net/endpoint.ts';
import { HandedSockets } from '../net/handed-sockets.ts';
import { formatListenAddress, type ListenAddress } from '../net/listen-address.ts';
import { bindAll, type Listener } from '../net/listener.ts';
import { PassiveSocket } from '../net/passive-socket.ts';
import type { Options } from '../options/option-table.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import { isSessionFile } from '../recording/session-file.ts';
import { ShadowState } from '../shadow/shadow-state.ts';
import {
  preparePrivateDirectory,
  prepareSpoolDirectory,
  requireSpoolAccess,
} from '../spool/spool-directory.ts';
import { defaultStore } from '../store/store-directory.ts';
import { requireConfinement } from '../supervisor/confinement.ts';
import { fleetOfOne } from '../supervisor/fleet-of-one.ts';
import { launchHere } from '../supervisor/launch.ts';
import { LauncherProcess } from '../supervisor/launcher-process.ts';
import { killOrphans } from '../supervisor/orphans.ts';
import { endOnOurBugs } from '../supervisor/our-bugs.ts';
import { ReleaseGate } from '../supervisor/release-gate.ts';
import { badStart, ScriptState } from '../supervisor/script-state.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { Logger } from '../syslog/log.ts';
import { openSink, targetOnThisMachine } from '../syslog/open-sink.ts';
import { connectionsShortage, openFilesLimit } from '../system/descriptors.ts';
import { takeHandedDescriptors } from '../system/handed-descriptors.ts';
import {
  accountOf,
  actingAs,
  dropPrivileges,
  lookUpGroup,
  lookUpIdentity,
  lookUpWorkerIdentity,
} from '../system/privileges.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import { ServiceManager } from '../system/service-manager.ts';
import { EXIT, exitCodeOf, OperatorError } from '../text/operator-error.ts';
import { latin1Of, visibleText } from '../text/visible.ts';
import { announce, irremovableSockets, logReload, logStart, stateOf } from './announcement.ts';
import { readSecretFiles, requireJournalOutOfReach, unreadableScript } from './rights.ts';
import { type Signals, watchSignals } from './signals.ts';

/** Workers of a program that was killed a moment ago still hold its addresses. */
const PREDECESSOR_MS = 1_500;
/** A signal to all processes at once may end a worker before this process has been told of it. */
const OWN_SIGNAL_MS = 1_000;

/**
 * Runs the milter until SIGTERM or SIGINT.
 * @returns the exit code.
 * @throws OperatorError when it cannot start; nothing listens then.
 */
export async function serve(options: Options, version: string): Promise<number> {
  // As the workers have their names: so that one sees, in `ps` and where an address is in use, whose process this is.
  const part = options.workers === 0 ? 'server' : 'supervisor';
  process.title = ['smtpf-milter:', part, ...process.argv.slice(2)].join(' ');
  const signals = watchSignals();
  const manager = ServiceManager.of(complain);
  const handed = new HandedSockets(takeHandedDescriptors());
  requireConfinement(options);
  const identity = lookUpIdentity(options.user, options.group);
  const workerIdentity = options.workerUser && lookUpWorkerIdentity(options.workerUser, identity);
  if (workerIdentity !== undefined && options.workers === 0)
    throw new OperatorError(`${workerIdentity.written}: there are no workers with --workers 0`, EXIT.config);
  if (options.heapBytes > 0 && options.workers === 0)
    throw new OperatorError(
      `--heap-mb ${options.heapBytes / 1048576}: there are no workers with --workers 0: give Node --max-old-space-size`,
      EXIT.config,
    );
  if (options.canary !== undefined && options.shadow === undefined)
    throw new OperatorError(
      '--canary: it is the candidate of --shadow that decides for a share of the clients: name it by --shadow FILE',
      EXIT.config,
    );
  const supervisor = accountOf(identity);
  /** Who runs the policy. */
  const runner = accountOf(workerIdentity ?? identity);
  const spool = prepareSpoolDirectory(options.spool, runner, [supervisor.uid]);
  if (options.record !== undefined) {
    const directory = { option: '--record', path: options.record, isOwnFile: isSessionFile };
    preparePrivateDirectory(directory, runner, [supervisor.uid]);
  }
  const store = options.store ?? defaultStore(spool, runner.uid);
  if (store.kind === 'memory' && options.workers > 1)
    throw new OperatorError(
      `--store memory: each of the ${options.workers} workers would have its own: --workers 1, or another store`,
      EXIT.config,
    );
  for (const pid of killOrphans(spool)) {
    complain(`worker process ${pid} killed: its supervisor is gone, and it has not ended by itself`);
  }
  const access: SocketAccess = {
    mode: options.socketMode,
    uid: identity?.uid,
    gid:
      options.socketGroup === undefined ? identity?.gid : lookUpGroup('--socket-group', options.socketGroup),
    group: options.socketGroup,
    groups: identity?.groups,
    handed,
  };
  const sockets: Sockets =
    options.workers === 0
      ? { listeners: await bindAll(options.listen, access, PREDECESSOR_MS) }
      : { endpoints: await bindEach(options.listen, access, PassiveSocket.open, PREDECESSOR_MS) };
  let control: ControlSocket = {};
  let metrics: Listener | undefined;
  const closeSockets = () =>
    [
      ...(sockets.listeners ?? sockets.endpoints),
      ...(control.listener ? [control.listener] : []),
      ...(metrics ? [metrics] : []),
    ].map((socket) => socket.close());
  let journal: Journal | undefined;
  try {
    if (workerIdentity !== undefined) requireJournalOutOfReach(options, supervisor.uid);
    control = await bindControl(options, identity);
    if (options.metrics !== undefined) metrics = await bindMetrics(options.metrics, access);
    handed.requireAllTaken();
    const unreadable = actingAs(runner, () => unreadableScript(options.script, runner));
    if (unreadable !== undefined && options.onBadStart === 'exit')
      throw new OperatorError(`--script ${options.script}: ${unreadable}`, EXIT.config);
    const launcher =
      workerIdentity &&
      sockets.endpoints &&
      (await LauncherProcess.start(
        workerIdentity,
        sockets.endpoints.map(({ socket }) => socket.fd),
        spool,
      ));
    const { secrets, warnings } = readSecretFiles(options);
    if (identity !== undefined) dropPrivileges(identity);
    if (launcher === undefined) requireSpoolAccess(spool);
    journal = await openJournal(options, complain);
    const syslog = targetOnThisMachine(options.syslog, complain);
    const program = {
      options: {
        ...options,
        store,
        syslog,
        control: control.path ?? '',
        onBadScript: options.onReload.length > 0 ? 'last-good' : options.onBadScript,
      } satisfies Options,
      version,
      spool,
      secrets,
      signals,
      manager,
      control,
      metrics,
      journal,
      warnings: [...(unreadable === undefined ? [] : [unreadable]), ...warnings],
      closeSockets,
    };
    return sockets.listeners
      ? await serveAlone({ ...program, listeners: sockets.listeners })
      : await serveByWorkers({ ...program, endpoints: sockets.endpoints, launcher });
  } catch (error) {
    closeSockets();
    // A signal to all processes at once ends those first that cannot obey it yet.
    if (exitCodeOf(error) === EXIT.software && (await signals.stopsWithin(OWN_SIGNAL_MS))) return EXIT.ok;
    throw error;
  } finally {
    await journal?.close();
  }
}

type Sockets =
  | { readonly listeners: readonly Listener[]; readonly endpoints?: undefined }
  | { readonly listeners?: undefined; readonly endpoints: readonly Endpoint<PassiveSocket>[] };

interface Program {
  readonly options: Options;
  readonly version: string;
  readonly spool: string;
  readonly secrets: readonly ReadSecret[];
  readonly signals: Signals;
  readonly manager: ServiceManager;
  readonly control: ControlSocket;
  /** Where `--metrics` is asked. */
  readonly metrics: Listener | undefined;
  readonly journal: Journal | undefined;
  /** Of files that the operator has named. */
  readonly warnings: readonly string[];
  /** @returns what went wrong with each */
  readonly closeSockets: () => (string | undefined)[];
}

/** What the processes that serve, several or one, have in common towards the operator. */
interface Serving extends Program {
  readonly fleet: Fleet;
  readonly log: Logger;
  readonly events: EventWriter | undefined;
  readonly addresses: readonly Listener['address'][];
  readonly report: ScriptReport;
  examine(): Promise<ScriptReport | undefined>;
  /** Settles, with the reason, when the program cannot go on. */
  readonly lost?: Promise<string> | undefined;
  /** @param announce is told how many connections are open. @returns how many were cut off. */
  stop(announce: (connections: number) => void): Promise<number>;
}

/** From the announcement to the end. */
async function serveUntilStopped(serving: Serving): Promise<number> {
  const { version, addresses, report, log, signals, manager, fleet, journal } = serving;
  const { listener, problem } = serving.control;
  const control = listener && new ControlServer(listener, fleet, journal);
  const metrics = serving.metrics && serveMetrics(serving.metrics, serving);
  if (problem !== undefined) log.notice(problem);
  const bound = [
    ...addresses,
    ...(listener ? [listener.address] : []),
    ...(serving.metrics ? [serving.metrics.address] : []),
  ];
  const { onError } = serving.options;
  const { maxConnections, workers, workerUser } = serving.options;
  const shortage = connectionsShortage(maxConnections, openFilesLimit(), workers);
  const warnings = [...serving.warnings, ...irremovableSockets(bound), shortage].filter(
    (warning) => warning !== undefined,
  );
  const asRoot = process.getuid?.() === 0 && workerUser === undefined;
  const announcement = { version, addresses, report, onError, warnings, asRoot };
  announce(announcement);
  logStart(log, announcement);
  manager.ready(stateOf(report, onError));
  if (serving.metrics) log.notice(`metrics at ${formatListenAddress(serving.metrics.address)}`);
  signals.onReload(async () => {
    manager.reloading();
    serving.events?.reopen();
    const found = await serving.examine();
    logReload(log, found, onError);
    manager.ready(stateOf(found, onError));
  });
  const lost = serving.lost?.then((reason) => ({ why: reason, code: EXIT.software }));
  const { why, code } = await Promise.race([
    signals.stop.then((signal) => ({ why: signal, code: EXIT.ok })),
    ...(lost ? [lost] : []),
  ]);
  if (code !== EXIT.ok) log.error(`${why}: the program ends`);
  control?.close();
  const cutOff = await serving.stop((connections) => {
    const state = `${why}: stopping, ${connections} connections open`;
    log.notice(state);
    manager.stopping(state);
  });
  // Until here it can be asked whether the server is stopping.
  metrics?.close();
  await serving.events?.close();
  log.notice(cutOff === 0 ? 'stopped' : `stopped, ${cutOff} connections cut off`);
  return code;
}

async function serveAlone(program: Program & { readonly listeners: readonly Listener[] }): Promise<number> {
  const { options, version, spool, secrets, listeners, journal, signals, closeSockets } = program;
  // The supervisor has no need of the Lua engine.
  const { Service } = await import('../supervisor/service.ts');
  const instance = Date.now().toString(36);
  const batch = options.metrics && new MetricBatch();
  const tellEvent = (line: string): boolean => {
    events?.write(line);
    return true;
  };
  const service = new Service({
    options,
    spool,
    secrets,
    sweeps: true,
    instance,
    complain,
    announce: (notice) => {
      // What is released is known.
      if (!notice.first || gate === undefined) script.noticed(notice);
    },
    announceShadow: (version) => shadow?.found(version),
    journal: journal && ((decision) => journal.add(decision)),
    tellEvent: 'path' in options.events ? tellEvent : undefined,
    metrics: batch,
  });
  const { log, sink, policies } = service;
  const events = openEventWriter(options.events, (message) => log.warning(message));
  const totals = new MetricTotals((message) => log.warning(message));
  const families = () => {
    totals.add(batch?.take() ?? []);
    return totals.families();
  };
  const script = new ScriptState(options.script, options.onError, log);
  const gate =
    options.onReload.length === 0
      ? undefined
      : new ReleaseGate({
          ...{ options, spool, secrets, launch: launchHere([]), log, script, complain },
          release: (release) => service.take(release),
        });
  const shadow =
    options.shadow === undefined
      ? undefined
      : new ShadowState(latin1Of(options.shadow), options.canary !== undefined, log);
  const examine = async (): Promise<ScriptReport> => {
    const found = await policies.examine();
    script.examined(found);
    return found;
  };
  endOnOurBugs(log, complain, () => {
    closeSockets();
    return sink.close();
  });
  const begun = await gate?.begin(signals.stop);
  const report = begun?.report ?? (await examine());
  const refused = badStart(report, options);
  if (refused !== undefined) throw refused;
  if (gate?.release) await service.take(gate.release);
  gate?.watch();
  service.serve(listeners);
  const addresses = listeners.map(({ address }) => address);
  const listening = addresses.map(formatListenAddress);
  const code = await serveUntilStopped({
    ...program,
    fleet: fleetOfOne(service, {
      version,
      listening,
      deadlines: deadlinesOf(options),
      script,
      shadow,
      canary: options.canary,
      events,
      families,
      gate,
      examine,
    }),
    log,
    events,
    addresses,
    report,
    examine: async () => (gate ? (await gate.request()).report : examine()),
    stop: (announceStop) => {
      gate?.stop();
      return service.stop(options.graceMs, signals.hurry, announceStop);
    },
  });
  await sink.close();
  return code;
}

async function serveByWorkers(
  program: Program & {
    readonly endpoints: readonly Endpoint<PassiveSocket>[];
    readonly launcher: LauncherProcess | undefined;
  },
): Promise<number> {
  const { options, version, spool, secrets, endpoints, launcher, journal, signals, closeSockets } = program;
  const sink = openSink(options.syslog, complain, options.logFormat);
  const log = new Logger(sink, options.logLevel);
  const events = openEventWriter(options.events, (message) => log.warning(message));
  endOnOurBugs(log, complain, () => {
    closeSockets();
    return sink.close();
  });
  const supervisor = new Supervisor({
    options,
    version,
    spool,
    secrets,
    endpoints,
    launch: launcher?.launch ?? launchHere(endpoints.map(({ socket }) => socket.fd)),
    log,
    sink,
    complain,
    journal: journal && ((decision) => journal.add(decision)),
    events,
    metrics: options.metrics && new MetricTotals((message) => log.warning(message)),
  });
  const report = await supervisor.start(signals.stop);
  const code = await serveUntilStopped({
    ...program,
    fleet: supervisor,
    log,
    events,
    addresses: endpoints.map(({ address }) => address),
    report,
    lost: launcher?.lost,
    examine: () => supervisor.examine(),
    stop: (announceStop) => {
      for (const problem of closeSockets()) if (problem !== undefined) log.warning(problem);
      return supervisor.stop(options.graceMs, signals.hurry, announceStop);
    },
  });
  await sink.close();
  return code;
}

/** @throws OperatorError that names the option */
async function bindMetrics(address: ListenAddress, access: SocketAccess): Promise<Listener> {
  loadExposition();
  const [listener] = await bindAll([address], access, PREDECESSOR_MS, '--metrics');
  return listener as Listener;
}

function serveMetrics(listener: Listener, { fleet, log }: Serving): MetricsServer {
  const source = {
    families: async () => familiesOf(fleet.snapshot()),
    notReady: () => notReady(fleet.snapshot()),
  };
  return new MetricsServer(listener, source, (message) => log.warning(message));
}

async function openJournal(
  { journal, journalBytes, journalRedact, journalKey }: Options,
  warn: (message: string) => void,
): Promise<Journal | undefined> {
  if (journal === undefined) return undefined;
  return Journal.open({
    path: journal,
    maxBytes: journalBytes,
    redact: journalRedact,
    keyPath: journalKey,
    warn,
  });
}

function complain(message: string): void {
  process.stderr.write(`smtpf-milter: ${visibleText(message)}\n`);
}
