/** `smtpf-milter stubs`: prints the Lua API as annotations for editors. */
import { formatStubs } from '../api/stubs.ts';
import { EXIT } from '../text/operator-error.ts';

/** Prints to standard output, in UTF-8. */
export function stubs(): number {
  process.stdout.write(formatStubs());
  return EXIT.ok;
}
