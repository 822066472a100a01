/** What the start of the milter tells its operator, on standard output and in the log. */
import { type BoundAddress, formatListenAddress, mainCfLine, sendmailMcLine } from '../listen-address.ts';
import type { Logger } from '../log.ts';
import type { ScriptReport } from '../policy-source.ts';

export interface Announcement {
  readonly version: string;
  readonly addresses: readonly BoundAddress[];
  readonly report: ScriptReport;
}

/** On standard output: what an operator wants to see, and the lines to copy, each alone on its line. */
export function announce({ version, addresses, report }: Announcement): void {
  const lines = [`smtpf-milter ${version}`];
  for (const address of addresses) {
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

export function logStart(log: Logger, { version, addresses, report }: Announcement): void {
  log.notice(`smtpf-milter ${version} listening on ${addresses.map(formatListenAddress).join(' ')}`);
  if (report.problem === undefined) log.notice(describeScript(report));
  else log.warning(`script does not run: ${report.problem}`);
  for (const warning of report.warnings) log.warning(warning);
  if (process.getuid?.() === 0) log.warning('running as root: choose another user with --user');
}

/** @param report undefined when no worker process has answered */
export function logReload(log: Logger, report: ScriptReport | undefined): void {
  if (report === undefined) {
    log.error('SIGHUP: no worker process answers');
    return;
  }
  const serving = report.serving === undefined ? '' : `; the last good version (${report.serving}) serves`;
  if (report.problem === undefined) log.notice(`SIGHUP: ${describeScript(report)}`);
  else log.warning(`SIGHUP: ${report.problem}${serving}`);
  for (const warning of report.warnings) log.warning(warning);
}

function describeScript({ path, hash, callbacks }: ScriptReport): string {
  return `script ${path} (${hash}), callbacks: ${callbacks.join(' ') || 'none'}`;
}
