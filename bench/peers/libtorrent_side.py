"""What both libtorrent sides share: the lines they speak, and settings that are fair to libtorrent.

Each side is one process. It prints one JSON object per line on stdout and reads one per line on
stdin; bench/peer-process.ts is the other end.
"""
import json
import sys

import libtorrent as lt

# No uTP, no discovery and no limits; all else as libtorrent has it.
PLAIN = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "allow_multiple_connections_per_ip": True,
    "close_redundant_connections": False,
    "smooth_connects": False,
    "download_rate_limit": 0,
    "upload_rate_limit": 0,
    "unchoke_slots_limit": -1,
    "alert_mask": lt.alert.category_t.status_notification
    | lt.alert.category_t.error_notification
    | lt.alert.category_t.connect_notification,
}

# The second is libtorrent's own preset for fast seeds on fast links: longer request queues, larger send
# buffers and more room for disk writes. Longer queues still, and more disk threads, brought nothing more.
PRESETS = {"default": {}, "high": lt.high_performance_seed()}

POLICY = {
    # "none": never encrypt. "forced": message stream encryption with RC4 over the whole payload.
    "none": {"out_enc_policy": 2, "in_enc_policy": 2},
    "forced": {"out_enc_policy": 0, "in_enc_policy": 0, "allowed_enc_level": 2, "prefer_rc4": True},
}


def open_session(preset, encryption, address="127.0.0.1"):
    """Gives a started session; the first two arguments are keys of PRESETS and POLICY."""
    settings = dict(PRESETS[preset])
    settings.update(PLAIN)
    settings.update(POLICY[encryption])
    settings["listen_interfaces"] = address + ":0"
    return lt.session(settings)


def say(**message):
    """Prints one message for the other end."""
    print(json.dumps(message), flush=True)


def hear():
    """Waits for one message of the other end; None when it went away."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def wait_for(session, kind):
    """Waits for an alert of this type; any error alert ends the process."""
    while True:
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            if isinstance(alert, kind):
                return alert
            if alert.category() & lt.alert.category_t.error_notification:
                say(event="error", message=alert.message())
                sys.exit(1)
