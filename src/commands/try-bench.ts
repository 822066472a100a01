/** What `smtpf-milter try` works on: the policy in a real Lua host, an imitated MTA in front, and a recorder between. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dns } from '../dns/dns.ts';
import type { RecordSource } from '../dns/records.ts';
import { ZoneError } from '../dns/zone.ts';
import { Logger } from '../log.ts';
import { systemReason } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { messageLimitsOf, packagePathOf } from '../options.ts';
import { openPolicySource, type PolicySource, type ScriptReport } from '../policy-source.ts';
import { ImitatedMta } from '../workbench/imitated-mta.ts';
import { Recorder } from '../workbench/recorder.ts';
import { type Exchange, SmtpDialogue } from '../workbench/smtp-dialogue.ts';
import { parseZoneFile } from '../workbench/zone-file.ts';
import { type TryPlan, wrong } from './try-options.ts';

/** A port that a client might have. */
const CLIENT_PORT = 40_025;

export class TryBench {
  readonly recorder = new Recorder();
  readonly plan: TryPlan;
  readonly #options: Options;
  readonly #policies: PolicySource;
  readonly #spool = mkdtempSync(join(tmpdir(), 'smtpf-milter-try-'));
  #sessions = 0;

  /** @throws OperatorError when the file of --dns cannot be read. */
  constructor(options: Options, plan: TryPlan) {
    this.#options = options;
    this.plan = plan;
    try {
      this.#policies = openPolicySource({
        options: { ...options, script: plan.policy, packagePath: packagePathOf(options) },
        log: new Logger(this.recorder.programSink, 'warning'),
        sink: this.recorder.scriptSink,
        spool: this.#spool,
        records: this.recorder.listen(recordsOf(options, plan)),
        observer: this.recorder,
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What the script is found to define, before anything else. */
  async examine(): Promise<ScriptReport> {
    const report = await this.#policies.examine();
    this.recorder.clear();
    return report;
  }

  /** A session that has not connected yet. */
  openSession(listener: (exchange: Exchange) => void): SmtpDialogue {
    const { mta, ip, ptr, macros, session, auth, tls } = this.plan;
    // Where the client's commands are given, what they would have led to is there from the beginning.
    const before =
      session === undefined
        ? {}
        : { auth: auth === undefined ? undefined : { user: auth, mech: 'PLAIN' }, tls };
    this.#sessions += 1;
    const id = `try${this.#sessions}`;
    const imitated = new ImitatedMta(
      mta,
      { ip, ptr, port: CLIENT_PORT, macros, ...before },
      {
        policies: this.recorder.watch(this.#policies),
        nextSessionId: () => id,
        limits: messageLimitsOf(this.#options),
        warn: (message) => this.recorder.warned(message),
      },
    );
    return new SmtpDialogue(imitated, this.recorder, listener);
  }

  close(): void {
    rmSync(this.#spool, { recursive: true, force: true });
  }
}

function recordsOf({ dnsServer, dnsTimeoutMs }: Options, { dns }: TryPlan): RecordSource {
  if (dns === undefined) return new Dns({ servers: dnsServer, timeoutMs: dnsTimeoutMs });
  try {
    return parseZoneFile(readText('--dns', dns).toString('latin1'), dns);
  } catch (error) {
    if (error instanceof ZoneError) throw wrong(`--dns ${error.message}`);
    throw error;
  }
}

/** @param option what names the file in a message. @throws OperatorError */
export function readText(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw wrong(`${option} ${path}: cannot be read: ${systemReason(error)}`);
  }
}
