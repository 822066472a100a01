/** `smtpf-milter doctor`: what is wrong with the milter, its files and the MTA beside it, and which line mends it. */
import { existsSync } from 'node:fs';
import { askServer } from '../control/control-client.ts';
import type { Status } from '../control/status.ts';
import { checkMacroNames } from '../doctor/both.ts';
import { checkConfig } from '../doctor/config-checks.ts';
import { checkFiles } from '../doctor/file-checks.ts';
import { Findings, look, quoted } from '../doctor/finding.ts';
import { checkKeys } from '../doctor/key-checks.ts';
import { policyFacts } from '../doctor/policy-facts.ts';
import { checkPostfix } from '../doctor/postfix-checks.ts';
import { readPostfix } from '../doctor/postfix-config.ts';
import { contentOf, formatScript, formatText } from '../doctor/report.ts';
import { accountsOf, addressesOf, addressesOfRunning, type Scene } from '../doctor/scene.ts';
import { checkSendmail } from '../doctor/sendmail-checks.ts';
import { readSendmail } from '../doctor/sendmail-config.ts';
import { checkServer, checkSilence } from '../doctor/server-checks.ts';
import { checkServices } from '../doctor/service-checks.ts';
import type { Options } from '../options/option-table.ts';
import { PACKAGED_CONFIG } from '../options/options.ts';
import { accountNamed } from '../system/privileges.ts';
import { decoded, indentedJson } from '../text/json-text.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { mapFindings } from './check-maps.ts';

const POSTFIX = '/etc/postfix';
const SENDMAIL = '/etc/mail/sendmail.cf';

const FOUND = 1;

export interface DoctorSwitches {
  /** The directory of main.cf. */
  readonly postfix: string | undefined;
  /** sendmail.cf. */
  readonly sendmail: string | undefined;
  /** Ids of findings that do not count. */
  readonly ignore: readonly string[];
  readonly json: boolean;
  readonly fix: boolean;
}

/**
 * Prints what it finds on standard output.
 * @returns 0 where all is right, else 1
 * @throws OperatorError 66 for a configuration that is named and cannot be read, 64 for two forms at a time
 */
export async function doctor(options: Options, switches: DoctorSwitches): Promise<number> {
  if (switches.json && switches.fix)
    throw new OperatorError('doctor: --json and --fix: only one of them on standard output', EXIT.usage);
  const { findings, reloads } = await examine(options, switches);
  process.stdout.write(
    switches.fix
      ? formatScript(findings, reloads)
      : switches.json
        ? indentedJson(contentOf(findings), decoded)
        : formatText(findings),
  );
  return findings.all.length === 0 ? EXIT.ok : FOUND;
}

/**
 * Looks at everything.
 * @returns what was found, and the commands that have the MTAs read their configuration anew
 * @throws OperatorError 66 for a configuration that is named and cannot be read
 */
export async function examine(
  options: Options,
  switches: Pick<DoctorSwitches, 'postfix' | 'sendmail' | 'ignore'>,
): Promise<{ readonly findings: Findings; readonly reloads: readonly string[] }> {
  const findings = new Findings(switches.ignore);
  const { running, silence } = await ask(options);
  const scene: Scene = {
    options,
    findings,
    addresses:
      running === undefined ? await addressesOf(options.listen) : await addressesOfRunning(running.listening),
    running,
    ...accountsOf(options, running),
    policy: policyFacts(running?.script.path ?? options.script),
  };
  if (running !== undefined) checkServer(scene, running);
  await checkConfig(scene);
  if (options.config === undefined && existsSync(PACKAGED_CONFIG))
    findings.note(
      '--config',
      `${PACKAGED_CONFIG} is there, and this user may not read it: where the server has its options from it, run doctor as root`,
    );
  checkFiles(scene);
  checkMacroNames(scene);
  await checkServices(scene);
  await checkKeys(scene);
  await checkMaps(scene);
  if (running === undefined) await checkSilence(scene, silence);
  return { findings, reloads: await checkMtas(scene, switches) };
}

/** The files of maps that the policy names. */
async function checkMaps({ policy, findings }: Scene): Promise<void> {
  for (const { line, message } of await mapFindings(policy.text, policy.names, undefined))
    findings.add({
      id: 'map-unreadable',
      severity: 'error',
      where: `${policy.path}:${line}`,
      problem: message,
      mend: [look(`smtpf-milter check ${quoted(policy.path)}`)],
    });
}

/** The state of the server that runs, or why none answers. */
async function ask(options: Options): Promise<{ running?: Status; silence?: string }> {
  try {
    for await (const { status } of askServer(options, { command: 'status' }))
      return { running: status as Status };
    return { silence: 'it does not answer' };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return { silence: error.message };
  }
}

/** @returns the commands that have the MTAs read their configuration anew */
async function checkMtas(
  scene: Scene,
  { postfix, sendmail }: Pick<DoctorSwitches, 'postfix' | 'sendmail'>,
): Promise<string[]> {
  const isNamed = postfix !== undefined || sendmail !== undefined;
  const directory = postfix ?? (!isNamed && existsSync(`${POSTFIX}/main.cf`) ? POSTFIX : undefined);
  const reloads: string[] = [];
  if (directory !== undefined) {
    const config = readPostfix(directory);
    await checkPostfix(config, scene, accountNamed('mail_owner', config.value('mail_owner')));
    reloads.push(directory === POSTFIX ? 'postfix reload' : `postfix -c ${quoted(directory)} reload`);
  }
  const file = sendmail ?? (!isNamed && existsSync(SENDMAIL) ? SENDMAIL : undefined);
  if (file !== undefined) {
    await checkSendmail(readSendmail(file), scene);
    reloads.push(`# build ${file} from its sendmail.mc, and restart Sendmail`);
  }
  if (directory === undefined && file === undefined)
    scene.findings.note(
      'MTA',
      `neither ${POSTFIX}/main.cf nor ${SENDMAIL} is there: name one by --postfix or --sendmail`,
    );
  return reloads;
}
