/**
 * Which Node.js this program runs on. Every entry point asks here before it imports anything else, and imports the rest
 * only then: static imports are read before the first statement runs, and would fail in an old Node.js without a word
 * that helps. So this file and the entry points import nothing else and are written in JavaScript that Node.js 12 reads.
 *
 * The range stands in package.json too ("engines", for npm), and is that of yargs.
 */

/** EX_CONFIG of sysexits.h, as for other faults of the machine's set-up. */
const WRONG_ENVIRONMENT = 78;

/**
 * @param {string} version as in process.versions.node
 * @returns {string | undefined} what is wrong with it
 */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if ((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 23) return undefined;
  return `needs Node.js ${major <= 20 ? '20.19' : '22.12'} or newer, this is ${version}`;
}

/**
 * Runs `load` on a Node.js of the range; otherwise says one line and ends with exit code 78.
 *
 * @param {() => Promise<unknown>} load imports the rest
 */
export function onSupportedNode(load) {
  const problem = nodeProblem(process.versions.node);
  if (problem === undefined) {
    load();
    return;
  }
  process.stderr.write(`smtpf-milter ${problem}\n`);
  process.exitCode = WRONG_ENVIRONMENT;
}
