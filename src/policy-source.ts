/** What the commands need of the Lua side: policies for connections, and an account of the script as it is now. */
import type { Account } from './control/account.ts';
import { Dns } from './dns/dns.ts';
import type { RecordSource } from './dns/records.ts';
import type { Logger } from './log.ts';
import { dnsLibrary } from './lua/dns-library.ts';
import { javaScriptInstaller } from './lua/javascript.ts';
import { libraries } from './lua/lib/libraries.ts';
import type { LineWatcher } from './lua/line-hook.ts';
import { LuaPolicies, type ScriptNotice } from './lua/lua-policies.ts';
import type { PolicyObserver } from './lua/policy-settings.ts';
import { ScriptFile } from './lua/script-file.ts';
import { openActions } from './lua/smtp/actions.ts';
import { openBody } from './lua/smtp/body-library.ts';
import { openHeader } from './lua/smtp/header-library.ts';
import { openMacro } from './lua/smtp/macro.ts';
import { openSmtp } from './lua/smtp/table.ts';
import { installWaiting } from './lua/smtp/waiting.ts';
import { type Library, Template } from './lua/template.ts';
import { Spool } from './message-file.ts';
import { SMFIF } from './milter/constants.ts';
import type { PolicyFactory } from './milter/policy.ts';
import type { ActionName, Options } from './option-table.ts';
import { packagePathOf } from './options.ts';
import type { LogSink } from './syslog/log-sink.ts';
import { syslogLibrary } from './syslog/lua-syslog.ts';

/** The script as `examine` found it. Text is latin1. */
export interface ScriptReport {
  readonly path: string;
  /** Short hash of the source; undefined when it could not be compiled. */
  readonly hash: string | undefined;
  /** As the script spells them: `do_rcpt`, or `rcpt`. In the order of an SMTP session. */
  readonly callbacks: readonly string[];
  /** `file:line: message` of what keeps the script from running. */
  readonly problem: string | undefined;
  /** `file: message` of what is allowed and hardly meant. */
  readonly warnings: readonly string[];
  /** Global names and, as `smtp.do_rcpt`, fields of global tables, when the script has run; undefined when it cannot. */
  readonly defined: ReadonlySet<string> | undefined;
  /** Hash of the version that serves new sessions; undefined when none can run. */
  readonly serving: string | undefined;
  /** The same for the same version and result in every process. */
  readonly key: string;
}

export interface PolicySource extends PolicyFactory {
  /** Reads the script anew and runs its main chunk in a context of its own, as a connection would. */
  examine(): Promise<ScriptReport>;
  /** Another process has found that a version with this hash can run; `source` where it is kept as the last good one. */
  trust(hash: string, source: Uint8Array | undefined): void;
  /** What the script's file held when it was last read. */
  readonly source: Uint8Array | undefined;
}

export interface PolicySourceSettings {
  readonly options: Options;
  readonly log: Logger;
  /** Where the script's own log lines go. */
  readonly sink: LogSink;
  /** The private directory for message files; what an earlier run has left in it is removed. */
  readonly spool: string;
  /** What stands in the place of the DNS; undefined for the DNS itself. */
  readonly records?: RecordSource | undefined;
  /** Put in place after everything else that a script sees. */
  readonly additions?: readonly Library[];
  readonly observer?: PolicyObserver | undefined;
  readonly lineWatcher?: LineWatcher | undefined;
  /** Is told of each session and its callbacks, for counters, log, trace and journal. */
  readonly account?: Account;
  /** Takes what is to be said of a new version of the script; without it, that goes to the log. */
  readonly announce?: (notice: ScriptNotice) => void;
  /** Source of the last version that could run, for --on-bad-script last-good. */
  readonly lastGood?: Uint8Array | undefined;
  /** The script at `options.script` where several sources share it, compiled once. */
  readonly file?: ScriptFile;
}

/** SMFIF_ bits by the names that --actions knows. */
const ACTION_BITS: Readonly<Record<ActionName, number>> = {
  'add-header': SMFIF.ADDHDRS,
  'change-header': SMFIF.CHGHDRS,
  'change-body': SMFIF.CHGBODY,
  'add-recipient': SMFIF.ADDRCPT | SMFIF.ADDRCPT_PAR,
  'delete-recipient': SMFIF.DELRCPT,
  'change-sender': SMFIF.CHGFROM,
  quarantine: SMFIF.QUARANTINE,
};

export function openPolicySource(settings: PolicySourceSettings): PolicySource {
  const { options, log, sink, spool, account } = settings;
  const file = settings.file ?? new ScriptFile(options.script);
  const messages = new Spool(spool);
  if (spool !== '') {
    const removed = messages.sweep();
    if (removed > 0) log.notice(`${removed} message files of an earlier run removed from ${spool}`);
  }
  const policies = new LuaPolicies(file, {
    template: new Template([
      ...libraries,
      { name: 'syslog', open: syslogLibrary(sink) },
      { install: openSmtp },
      { install: openMacro },
      { install: openActions },
      { install: openHeader },
      { install: openBody },
      { install: installWaiting },
      {
        name: 'dns',
        open: dnsLibrary(
          settings.records ?? new Dns({ servers: options.dnsServer, timeoutMs: options.dnsTimeoutMs }),
        ),
      },
      ...(options.allowJs ? [{ install: javaScriptInstaller(options.script) }] : []),
      ...(settings.additions ?? []),
    ]),
    limits: {
      cpuMs: options.cpuMs,
      memoryBytes: options.memoryBytes,
      stringBytes: options.stringBytes,
      openFiles: options.maxFiles,
      writtenBytes: options.writeBytes,
    },
    allowExecute: options.allowExecute,
    actions: options.actions.reduce((bits, name) => bits | ACTION_BITS[name], 0),
    asksForMacros: options.macros === 'default',
    packagePath: packagePathOf(options),
    onError: options.onError,
    log,
    createMessageFile: () => messages.create(),
    deadlineMs: options.deadlineMs,
    endOfMessageDeadlineMs: options.endOfMessageDeadlineMs,
    observer: settings.observer,
    lineWatcher: settings.lineWatcher,
    keepLastGood: options.onBadScript === 'last-good',
    lastGood: settings.lastGood,
    announce: settings.announce ?? (({ level, text }) => log[level](text)),
  });
  return {
    open: (session) => {
      const watch = account?.watch(session);
      if (!watch) return policies.open(session);
      const opened = policies.open(session, watch);
      return opened instanceof Promise ? opened.then((policy) => watch.of(policy)) : watch.of(opened);
    },
    get source() {
      return file.source;
    },
    trust: (hash, source) => policies.trust(hash, source),
    examine: async () => {
      const { current, trial, choice, key } = await policies.examine();
      const { callbacks, problem, warnings, defined } = trial;
      const serving = choice.passed ? choice.script.hash : undefined;
      return {
        path: options.script,
        hash: current.script?.hash,
        callbacks,
        problem,
        warnings,
        defined,
        serving,
        key,
      };
    },
  };
}
