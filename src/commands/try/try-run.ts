/** What `smtpf-milter try` works on: the policy in a real Lua host, an imitated MTA in front, and a recorder between. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownFiles } from '../../control/control-path.ts';
import { ZoneError } from '../../dns/zone.ts';
import { NoWeb } from '../../http/web.ts';
import { NoCallAhead } from '../../mail-client/call-ahead.ts';
import { NoMailer } from '../../mail-client/mailer.ts';
import { OfflineMaps } from '../../maps/offline-maps.ts';
import type { Options } from '../../options/option-table.ts';
import { messageLimitsOf, packagePathOf } from '../../options/options.ts';
import {
  openPolicySource,
  type PolicySource,
  type ScriptReport,
  servicesOf,
} from '../../policy/policy-source.ts';
import { NoScanners } from '../../scanners/scanners.ts';
import type { Services } from '../../services/services.ts';
import { Logger } from '../../syslog/log.ts';
import { ImitatedMta } from '../../workbench/imitated-mta.ts';
import { Recorder } from '../../workbench/recorder.ts';
import { type Exchange, SmtpDialogue } from '../../workbench/smtp-dialogue.ts';
import { parseZoneFile } from '../../workbench/zone-file.ts';
import { readInput } from '../input-file.ts';
import { type TryPlan, wrong } from './try-options.ts';

/** What is said of a server that is not asked. */
const NOT_LIVE = 'is asked with --live only';
/** A port that a client might have. */
const CLIENT_PORT = 40_025;

export class TryRun {
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
      const log = new Logger(this.recorder.programSink, 'warning');
      // What a policy remembers is forgotten at the end, unless a store is to be asked.
      const stores = plan.live ? options.store : undefined;
      const services = servicesOf({ ...options, store: stores }, this.recorder.scriptSink, log);
      this.#policies = openPolicySource({
        options: { ...options, script: plan.policy, packagePath: packagePathOf(options) },
        log,
        spool: this.#spool,
        ownFiles: ownFiles(options),
        services: this.recorder.listen({
          ...services,
          ...(!plan.live && {
            maps: new OfflineMaps(log, NOT_LIVE),
            callAhead: new NoCallAhead(NOT_LIVE),
            mailer: new NoMailer(NOT_LIVE),
            scanners: new NoScanners(NOT_LIVE),
            web: new NoWeb(NOT_LIVE),
          }),
          ...zoneOf(plan),
        }),
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

/** The records of --dns, which stand in the place of the DNS. */
function zoneOf({ dns }: TryPlan): Partial<Pick<Services, 'records'>> {
  if (dns === undefined) return {};
  try {
    return { records: parseZoneFile(readInput('--dns', dns).toString('latin1'), dns) };
  } catch (error) {
    if (error instanceof ZoneError) throw wrong(`--dns ${error.message}`);
    throw error;
  }
}
