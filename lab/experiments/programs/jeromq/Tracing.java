import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.zeromq.ZMQ;

/** What both programs share: their flags, and what they report on stderr, one JSON object a line. */
class Tracing {
    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);
    private static final FileOutputStream ERR = new FileOutputStream(FileDescriptor.err);
    private static final double AHEAD = System.currentTimeMillis() / 1000.0 - monotonic();

    private final Map<String, String> values = new HashMap<>();
    final List<String> addresses = new ArrayList<>();

    /** Takes flags with a value, such as `--count`, and switches, such as `--trace`. */
    Tracing(String[] words, List<String> flags, List<String> switches) {
        for (int i = 0; i < words.length; i++) {
            if (switches.contains(words[i])) {
                values.put(words[i], "");
            } else if (i + 1 < words.length && words[i].equals("--address")) {
                addresses.add(words[++i]);
            } else if (i + 1 < words.length && flags.contains(words[i])) {
                values.put(words[i], words[++i]);
            } else {
                System.err.println("unknown flag, or one without its value: " + words[i]);
                System.exit(2);
            }
        }
    }

    boolean has(String flag) {
        return values.containsKey(flag);
    }

    String get(String flag, String otherwise) {
        return values.getOrDefault(flag, otherwise);
    }

    double number(String flag, double otherwise) {
        return has(flag) ? Double.parseDouble(values.get(flag)) : otherwise;
    }

    static double monotonic() {
        return System.nanoTime() / 1e9; // CLOCK_MONOTONIC on Linux
    }

    static double now() {
        return AHEAD + monotonic();
    }

    static void sleep(double seconds) throws InterruptedException {
        Thread.sleep((long) (seconds * 1000), (int) (seconds * 1e9 % 1e6));
    }

    static void print(String line) throws IOException {
        OUT.write((line + "\n").getBytes(StandardCharsets.UTF_8));
    }

    /** Reports an event; its details are JSON already. One write, so that lines stay whole. */
    void trace(String event, String details) throws IOException {
        if (has("--trace")) {
            double m = monotonic();
            String line = String.format(
                Locale.ROOT, "{\"t\": %.6f, \"m\": %.6f, \"event\": \"%s\"%s}\n", AHEAD + m, m, event,
                details.isEmpty() ? "" : ", " + details);
            ERR.write(line.getBytes(StandardCharsets.UTF_8));
        }
    }

    void ready() throws IOException {
        trace("ready", String.format(
            "\"jeromq\": \"0.3.6\", \"libzmq\": \"%s\", \"java\": \"%s\"",
            ZMQ.getVersionString(), System.getProperty("java.version")));
    }

    /** Reports what the library says of a socket's connections, from a thread of its own. */
    void watch(ZMQ.Context context, ZMQ.Socket socket, boolean accepts) {
        socket.monitor("inproc://monitor", ZMQ.EVENT_ACCEPTED | ZMQ.EVENT_DISCONNECTED);
        Thread watcher = new Thread(() -> {
            ZMQ.Socket monitor = context.socket(ZMQ.PAIR);
            monitor.connect("inproc://monitor");
            while (true) {
                ZMQ.Event event = ZMQ.Event.recv(monitor);
                if (event == null) { // the context ends, and waits for this socket
                    monitor.close();
                    return;
                }
                try {
                    if (event.getEvent() == ZMQ.EVENT_DISCONNECTED) {
                        trace("disconnected", "");
                    } else if (accepts && event.getEvent() == ZMQ.EVENT_ACCEPTED) {
                        trace("accepted", "");
                    }
                } catch (IOException error) {
                    return;
                }
            }
        });
        watcher.setDaemon(true);
        watcher.start();
    }
}
