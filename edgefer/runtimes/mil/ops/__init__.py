"""Operations by family; each module declares its ``OPS``, which the registry finds."""
