/** What the commands need of the Lua side: policies for connections, and an account of the script as it is now. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Events } from '../events/event.ts';
import type { LineWatcher } from '../lua/context/line-hook.ts';
import type { SliceQueue } from '../lua/context/slice-queue.ts';
import { Template } from '../lua/context/template.ts';
import { type Surroundings, SYSTEM } from '../lua/engine/surroundings.ts';
import { javaScriptInstaller } from '../lua/lib/javascript.ts';
import { ScriptFile } from '../lua/script/script-file.ts';
import type { GoodVersion, ScriptWarning } from '../lua/script/script-versions.ts';
import type { Metrics } from '../metrics/metric.ts';
import { actionBits } from '../milter/modifications.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import { policyLibraries } from '../modules/install.ts';
import { ScriptLog } from '../modules/syslog/script-log.ts';
import type { Options } from '../options/option-table.ts';
import { packagePathOf } from '../options/options.ts';
import { type OpenServices, openServices, type ServiceSettings } from '../services/open-services.ts';
import type { Services } from '../services/services.ts';
import type { LateFiles } from '../spool/late-files.ts';
import { Spool } from '../spool/message-file.ts';
import { prepareSpoolDirectory } from '../spool/spool-directory.ts';
import { SpoolTrouble } from '../spool/spool-trouble.ts';
import type { Logger } from '../syslog/log.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import { latin1Of } from '../text/visible.ts';
import { LuaPolicies, type ScriptNotice } from './lua-policies.ts';
import type { PolicyObserver, SessionObserver } from './policy-settings.ts';

/** The script as `examine` found it. Text is latin1. */
export interface ScriptReport {
  readonly path: string;
  /** Short hash of the source; undefined when it could not be compiled. */
  readonly hash: string | undefined;
  /** As the script spells them: `do_rcpt`, or `rcpt`. In the order of an SMTP session. */
  readonly callbacks: readonly string[];
  /** `file:line: message` of what keeps the script from running. */
  readonly problem: string | undefined;
  /** What is allowed and hardly meant. */
  readonly warnings: readonly ScriptWarning[];
  /** Global names and, as `smtp.do_rcpt`, fields of global tables, when the script has run; undefined when it cannot. */
  readonly defined: ReadonlySet<string> | undefined;
  /** Hash of the version that serves new sessions; undefined when none can run. */
  readonly serving: string | undefined;
  /** The version, where it is to serve. */
  readonly good: GoodVersion | undefined;
  /** The same for the same version and result in every process. */
  readonly key: string;
  /** Callbacks that the version before it had, and that it does not have. */
  readonly lost?: readonly string[];
  /** It was refused on its trial (--on-reload), whether or not it can run. */
  readonly isRefused?: boolean;
  /** And serves all the same, as there was none before it. */
  readonly isUnproven?: boolean;
}

/** `file: message` of each warning. */
export function warningLines({ path, warnings }: Pick<ScriptReport, 'path' | 'warnings'>): string[] {
  return warnings.map(({ text }) => `${path}: ${text}`);
}

export interface PolicySource extends PolicyFactory {
  /** Reads the script anew and runs its main chunk in a context of its own, as a connection would. */
  examine(): Promise<ScriptReport>;
  /** Takes the script as it is now, as a session would, and waits until it has been tried. */
  take(): Promise<void>;
  /** Another process has found that a version can run. */
  trust(version: GoodVersion): void;
}

export interface PolicySourceSettings {
  readonly options: Options;
  readonly log: Logger;
  /** How the script's modules reach the world. */
  readonly services: Services;
  /** The private directory for message files; '' where none are written. */
  readonly spool: string;
  /** Time, environment and files as the script sees them; those of the system without it. */
  readonly surroundings?: Surroundings;
  readonly observer?: PolicyObserver | undefined;
  readonly lineWatcher?: LineWatcher | undefined;
  /** Whose turn it is when several work long, connections included; without it, sessions of this source alone. */
  readonly slices?: SliceQueue;
  /** Is told of each session and its callbacks, for counters, log, trace and journal. */
  readonly sessions?: SessionObserver;
  /** Files that this program keeps to itself, besides the spool: no policy opens, removes or renames them. */
  readonly ownFiles?: readonly string[];
  /** Takes what is to be said of a new version of the script; without it, that goes to the log. */
  readonly announce?: (notice: ScriptNotice) => void;
  /** The last version that could run, for --on-bad-script last-good. */
  readonly lastGood?: GoodVersion | undefined;
  /** Where message files are made when the script looks for them, by `surroundings`; without it they are made at once. */
  readonly lateFiles?: LateFiles;
  /** Every message that is kept is in a file, also where nobody needs that: a test can make it unreadable. */
  readonly alwaysInFiles?: boolean;
  /** What follows where the script does not run, other than --on-error. */
  readonly consequence?: string;
  /** The script at `options.script` where several sources share it, compiled once. */
  readonly file?: ScriptFile;
}

/**
 * The services that a policy has with these options.
 * @param sink where the script's own lines go @param log what is said of the services themselves
 * @param sweeps whether it takes away what has ended in the store @param secrets files that were read at the start
 * @param metrics, events take the policy's figures and events; without them these go nowhere
 */
export function servicesOf(
  options: Options,
  sink: LogSink,
  log: Logger,
  {
    sweeps = false,
    secrets = [],
    metrics,
    events,
    listening,
  }: {
    readonly sweeps?: boolean;
    readonly secrets?: readonly ReadSecret[];
    readonly metrics?: Metrics | undefined;
    readonly events?: Events | undefined;
    /** Where this server listens at the moment. */
    readonly listening?: ServiceSettings['listening'];
  } = {},
): OpenServices {
  const logsJson = options.logFormat === 'json';
  return openServices({ ...options, sweeps, secrets, logsJson, metrics, events, listening }, sink, log);
}

/** Where a file really is, whether or not it is there itself. latin1 */
function realPath(path: string): string {
  return join(realDirectory(dirname(resolve(path))), inLatin1(basename(path)));
}

/** Where a directory really is, in latin1; as named, where it is not there. */
function realDirectory(path: string): string {
  try {
    return realpathSync.native(path, 'latin1');
  } catch {
    return inLatin1(path);
  }
}

/** The bytes of a path that was given as text. */
function inLatin1(path: string): string {
  return Buffer.from(path).toString('latin1');
}

export function openPolicySource(settings: PolicySourceSettings): PolicySource {
  const { options, log, services, spool, sessions, lateFiles } = settings;
  const file = settings.file ?? new ScriptFile(options.script);
  const scriptLog = new ScriptLog(services.log, services.stderr);
  const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] };
  const consequence = `smtp.do_dot fails for each message (--on-error ${options.onError}) until they can`;
  const trouble = new SpoolTrouble(spool, consequence, log);
  const messages = new Spool(spool, {
    remake: () => {
      prepareSpoolDirectory(spool, user);
      log.warning(`the spool directory ${spool} was gone, and has been made again`);
    },
    written: () => trouble.written(),
    failed: (error) => trouble.failed(error),
  });
  const policies = new LuaPolicies(file, {
    template: new Template(
      [
        ...policyLibraries(services),
        ...(options.allowJs ? [{ install: javaScriptInstaller(options.script) }] : []),
      ],
      settings.slices,
    ),
    limits: {
      cpuMs: options.cpuMs,
      memoryBytes: options.memoryBytes,
      sessionBytes: options.sessionBytes,
      stringBytes: options.stringBytes,
      openFiles: options.maxFiles,
      writtenBytes: options.writeBytes,
    },
    allowExecute: options.allowExecute,
    closedPlaces: (spool === '' ? [] : [spool, ...(settings.ownFiles ?? [])]).map(realPath),
    actions: actionBits(options.actions),
    asksForMacros: options.macros === 'default',
    packagePath: packagePathOf(options),
    onError: options.onError,
    log,
    print: (L, line) => scriptLog.print(L, line),
    createMessageFile: (need) => {
      if (need === 'memory' && !settings.alwaysInFiles) return messages.keep();
      const made = messages.create();
      return lateFiles === undefined || need === 'file' ? made : lateFiles.late(made);
    },
    deadlineMs: options.deadlineMs,
    endOfMessageDeadlineMs: options.endOfMessageDeadlineMs,
    observer: settings.observer,
    lineWatcher: settings.lineWatcher,
    surroundings: settings.surroundings ?? SYSTEM,
    keepLastGood: options.onBadScript === 'last-good',
    lastGood: settings.lastGood,
    consequence: settings.consequence,
    announce: settings.announce ?? ((notice) => logNotice(log, notice)),
  });
  return {
    open: (session) => {
      const watch = sessions?.watch(session);
      if (!watch) return policies.open(session);
      const opened = policies.open(session, watch);
      return opened instanceof Promise ? opened.then((policy) => watch.of(policy)) : watch.of(opened);
    },
    take: () => policies.take(),
    trust: (version) => policies.trust(version),
    examine: async () => {
      const validation = await policies.examine();
      const { current, result, choice, key } = validation;
      const { callbacks, problem, warnings, defined, lost } = result;
      const serving = choice.passed ? choice.script.hash : undefined;
      return {
        path: latin1Of(options.script),
        hash: current.script?.hash,
        callbacks,
        problem: problem?.message,
        warnings,
        defined,
        serving,
        good: policies.goodVersionOf(validation),
        key,
        ...(lost && { lost }),
      };
    },
  };
}

/** The version that a program begins with is no news unless it cannot run. */
function logNotice(log: Logger, { level, text, first, problem }: ScriptNotice): void {
  if (!first || problem !== undefined) log[level](text);
}
