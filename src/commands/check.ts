/** `smtpf-milter check FILE`: says whether a script runs, and which callbacks it defines. */
import { Logger } from '../log.ts';
import { EXIT } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { packagePathOf } from '../options.ts';
import { openPolicySource } from '../policy-source.ts';
import { StderrSink } from '../syslog/stderr-sink.ts';

/**
 * Prints what it finds on standard output.
 * @param file the script as the operator named it, which is how messages name it.
 * @returns 0, or 1 for a script that cannot run.
 */
export async function check(options: Options, file: string): Promise<number> {
  const sink = new StderrSink();
  const log = new Logger(sink, 'warning');
  const asNamed = { ...options, script: file, packagePath: packagePathOf(options) };
  const report = await openPolicySource({ options: asNamed, log, sink, spool: '' }).examine();
  const lines = [
    ...report.warnings.map((warning) => `${warning} (warning)`),
    report.problem ?? `${report.path}: callbacks: ${report.callbacks.join(' ') || 'none'}`,
  ];
  process.stdout.write(Buffer.from(`${lines.join('\n')}\n`, 'latin1'));
  return report.problem === undefined ? EXIT.ok : EXIT.badScript;
}
