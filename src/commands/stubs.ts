/** `smtpf-milter stubs`: prints the Lua API as annotations for editors. */
import { formatStubs } from '../api/stubs.ts';
import { EXIT } from '../text/operator-error.ts';

/** Prints to standard output, in UTF-8. */
export async function stubs(): Promise<number> {
  await new Promise<void>((resolve) => {
    process.stdout.write(formatStubs(), () => resolve()); // A pipe takes it in pieces; the program ends soon.
  });
  return EXIT.ok;
}
