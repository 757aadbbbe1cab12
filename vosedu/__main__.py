import sys

try:
    from .commands import main
except KeyboardInterrupt:  # Ctrl-C while PyTorch is being imported
    sys.exit(130)

sys.exit(main())
