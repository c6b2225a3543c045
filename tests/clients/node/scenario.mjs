// Runs one of a script's scenarios,
// `node <script> <name> <base URL> <picture> [<URL of a tool> <question>...]`, and prints what it returns as JSON.

export const [name, baseURL, picture, toolURL, ...questions] = process.argv.slice(2);

export async function run(scenarios) {
  const result = await scenarios[name]();
  process.stdout.write(JSON.stringify(result));
}

export async function collected(iterable) {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
}

// What the tool of a scenario does is the test's business, so it is asked over HTTP.
export async function square(n) {
  const response = await fetch(`${toolURL}?n=${n}`);
  const said = await response.text();
  if (!response.ok) throw new Error(said);
  return said;
}
